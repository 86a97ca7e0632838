/**
 * The report's only script: it shows the filter of the predictions, which the page does without where scripts are off.
 *
 * @since 0.1.0
 */
export const script = `
(() => {
  const form = document.querySelector('form.filter')
  if (!form) return
  const cards = [...document.querySelectorAll('.card[data-family]')]
  const shown = form.querySelector('output')
  const apply = () => {
    const wants = Object.fromEntries(new FormData(form))
    let count = 0
    for (const card of cards) {
      const fits = Object.entries(wants).every(([key, value]) => value === '' || card.dataset[key] === value)
      card.hidden = !fits
      if (fits) count++
    }
    shown.textContent = count === cards.length ? cards.length + ' samples' : count + ' of ' + cards.length + ' samples'
  }
  form.addEventListener('change', apply)
  form.addEventListener('submit', (e) => e.preventDefault())
  form.hidden = false
  apply()
})()
`
