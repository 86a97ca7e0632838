export default { name: 'not an experiment' }
