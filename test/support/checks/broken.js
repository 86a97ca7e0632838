/** A module that cannot be loaded. */
import './not-there.js'

export default () => 1
