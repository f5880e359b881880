// SPDX-License-Identifier: GPL-3.0-or-later
// What the page does for our nodes: rarely used widgets are folded, and models are listed with size and licence.
import { app } from "../../scripts/app.js"

const PREFIX = "Gossamer"
const LABELS = "gossamer_labels"
const labels = new Map() // of each kind of node: what is shown of its models' ids

function isLinked(node, widget) {
  return (node.inputs ?? []).some((input) => input.link != null && input.widget?.name === widget.name)
}

app.registerExtension({
  name: "gossamer.nodes",

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith(PREFIX)) return
    for (const inputs of Object.values(nodeData.input ?? {}))
      for (const [name, spec] of Object.entries(inputs ?? {}))
        if (spec?.[1]?.[LABELS]) labels.set(nodeData.name, { name, shown: spec[1][LABELS] })
  },

  nodeCreated(node) {
    if (!node.comfyClass?.startsWith(PREFIX)) return
    const widgets = node.widgets ?? []
    const listed = labels.get(node.comfyClass)
    const models = listed && widgets.find((widget) => widget.name === listed.name)
    if (models?.options) models.options.getOptionLabel = (id) => listed.shown[id] ?? String(id ?? "")
    // The classic canvas folds what is said of the widget itself; Nodes 2.0 reads its options, and has a button.
    const folded = widgets.filter((widget) => widget.options?.advanced)
    if (!folded.length) return
    const height = globalThis.LiteGraph?.NODE_WIDGET_HEIGHT ?? 20
    for (const widget of folded) {
      widget.advanced = true
      // The canvas leaves room for what it does not draw, 4 pixels below each: a height of -4 takes that back.
      if (!widget.computeSize && !widget.computeLayoutSize)
        widget.computeSize = (width) => [width ?? 0, node.showAdvanced ? height : -4]
    }
    const toggle = () => {
      const [width, tall] = node.size
      const before = node.computeSize()[1]
      node.toggleAdvanced?.()
      node.setSize([width, tall + node.computeSize()[1] - before])
    }
    const more = node.addWidget("button", "…", null, toggle, { serialize: false, canvasOnly: true })
    more.serialize = false
    node.setSize?.(node.computeSize())
  },

  loadedGraphNode(node) {
    if (!node.comfyClass?.startsWith(PREFIX)) return
    if ((node.widgets ?? []).some((widget) => widget.advanced && isLinked(node, widget))) node.showAdvanced = true
  },
})
