const lateral: { size?: { width: number } } = {}

export default () => lateral.size!.width
