// SPDX-License-Identifier: GPL-3.0-or-later
// The picture on "Cut Out by Points and Boxes" and "Prompt on a Video Frame": clicks and rectangles on it are written
// into the node's own texts, which stay what counts. The picture is that of a Load Image, or what the node itself had in its last run.
import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

const NODES = ["GossamerCutOutByPoints", "GossamerClipPrompt"]
const TEXTS = ["points", "not_points", "box"]
const LOADERS = ["LoadImage", "LoadImageMask", "LoadImageOutput"]
const TALL = 200 // pixels of the node that the picture has at least
const NEAR = 9 // pixels of the screen within which a click is meant for a mark that is there
const DRAGGED = 5 // pixels of the screen from which on it is no click any more
const EVERY = 700 // milliseconds between looks whether there is another picture
const INVITES = {
  en: ["Click: subject. Shift or right click: not the subject. Drag: box. Click a mark to remove it.", "Connect Load Image, or run once: the picture is then shown here.", "Remove all marks"],
  de: ["Klick: Motiv. Umschalt- oder Rechtsklick: nicht Motiv. Ziehen: Rahmen. Klick auf eine Marke entfernt sie.", "Load Image verbinden oder einmal ausführen: Dann ist das Bild hier zu sehen.", "Alle Marken entfernen"],
  fr: ["Clic : sujet. Maj ou clic droit : pas le sujet. Glisser : cadre. Cliquer une marque l'enlève.", "Reliez Load Image ou exécutez une fois : l'image s'affiche alors ici.", "Enlever toutes les marques"],
  es: ["Clic: sujeto. Mayús o clic derecho: no es el sujeto. Arrastrar: recuadro. Clic en una marca: la quita.", "Conecte Load Image o ejecute una vez: la imagen se verá aquí.", "Quitar todas las marcas"],
  ja: ["クリック：被写体。Shift＋クリックか右クリック：被写体以外。ドラッグ：枠。印をクリックすると消えます。", "Load Image をつなぐか一度実行すると、ここに画像が表示されます。", "すべての印を消す"],
  zh: ["单击：主体。Shift 或右键单击：非主体。拖动：方框。单击标记可将其移除。", "连接 Load Image，或运行一次：图片会显示在此处。", "移除所有标记"],
}

function words() {
  const language = String(app.ui?.settings?.getSettingValue?.("Comfy.Locale") ?? "en")
  return INVITES[language.slice(0, 2)] ?? INVITES.en
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value)

/** Return rows of `size` numbers, or what JSON holds; undefined where a text is neither. */
function read(text, size) {
  text = String(text ?? "").trim()
  if (!text) return []
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      return undefined
    }
  }
  const rows = text.split(/[\n;]/).filter((line) => line.trim())
  const numbers = rows.map((line) => line.trim().split(/[\s,]+/).map(Number))
  return numbers.every((row) => row.length === size && row.every(isNumber)) ? numbers : undefined
}

const asPoint = (one) => (Array.isArray(one) ? [one[0], one[1]] : [one?.x, one?.y])
const asBox = (one) => (Array.isArray(one) ? one : [one?.x, one?.y, one?.x + one?.width, one?.y + one?.height])

function list(data, size) {
  if (data === undefined) return undefined
  const one = !Array.isArray(data) || (data.length === size && data.every(isNumber))
  const found = (one ? [data] : data).map(size === 2 ? asPoint : asBox)
  return found.every((row) => row.length === size && row.every(isNumber)) ? found : undefined
}

function pointsOf(text) {
  const data = read(text, 2)
  if (data && !Array.isArray(data) && (data.positive || data.negative))
    return [list(data.positive ?? [], 2), list(data.negative ?? [], 2)]
  return [list(data, 2), []]
}

class Picture {
  constructor(node) {
    this.node = node
    this.texts = Object.fromEntries(TEXTS.map((name) => [name, node.widgets.find((one) => one.name === name)]))
    this.image = null
    this.address = ""
    this.size = [0, 0] // of the picture that the node gets, which can be larger than what is shown of it
    this.own = null
    this.start = this.end = null
    this.element = document.createElement("div")
    this.element.className = "gossamer-points"
    this.element.style.cssText = "display:flex;flex-direction:column;width:100%;height:100%;min-height:0;gap:2px"
    this.canvas = document.createElement("canvas")
    this.canvas.style.cssText = "flex:1;width:100%;min-height:0;touch-action:none;cursor:crosshair"
    this.told = document.createElement("div")
    this.told.style.cssText = "font:10px sans-serif;color:#bbb;display:flex;gap:4px;align-items:center"
    this.text = document.createElement("span")
    this.text.style.flex = "1"
    this.clear = document.createElement("button")
    this.clear.textContent = "✕"
    this.clear.style.cssText = "border:0;background:#444;color:#ddd;border-radius:3px;cursor:pointer"
    this.told.append(this.text, this.clear)
    this.element.append(this.canvas, this.told)
    this.listen()
    this.look()
  }

  listen() {
    const on = (kind, act) =>
      this.canvas.addEventListener(kind, (event) => {
        event.stopPropagation() // else the node is moved, or its menu opened
        event.preventDefault()
        act(event)
      })
    on("contextmenu", () => {})
    on("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId)
      this.start = this.end = this.place(event)
    })
    on("pointermove", (event) => {
      if (!this.start) return
      this.end = this.place(event)
      this.draw()
    })
    on("pointerup", (event) => this.finish(event))
    on("pointercancel", () => {
      this.start = this.end = null
      this.draw()
    })
    this.canvas.addEventListener("pointerenter", () => this.look())
    this.clear.addEventListener("pointerdown", (event) => event.stopPropagation())
    this.clear.addEventListener("click", (event) => {
      event.stopPropagation()
      const { wanted, unwanted, boxes } = this.marks() ?? { wanted: [], unwanted: [], boxes: [] }
      if (wanted.length + unwanted.length + boxes.length) this.write({ wanted: [], unwanted: [], boxes: [] })
    })
    for (const widget of Object.values(this.texts)) {
      const before = widget.callback
      widget.callback = (...told) => {
        const answer = before?.apply(widget, told)
        this.draw()
        return answer
      }
    }
    this.resized = new ResizeObserver(() => this.draw())
    this.resized.observe(this.canvas)
    this.timer = setInterval(() => this.look(), EVERY)
  }

  release() {
    clearInterval(this.timer)
    this.resized.disconnect()
  }

  /** Show another picture where there is one. */
  look() {
    const [address, size] = this.source()
    const seen = JSON.stringify([...TEXTS.map((name) => this.texts[name].value), words()[0]])
    if (address !== this.address) {
      this.address = address
      this.image = null
      if (address) {
        const image = new Image()
        image.onload = () => {
          if (this.address !== address) return
          this.image = image
          this.size = size ?? [image.naturalWidth, image.naturalHeight]
          this.draw()
        }
        image.src = address
      }
      this.draw()
    } else if (seen !== this.seen) this.draw()
    this.seen = seen
  }

  source() {
    let node = this.node
    let slot = node.inputs?.find((input) => input.name === "image")
    for (let steps = 0; slot?.link != null && steps < 20; steps++) {
      const links = node.graph?.links
      const link = links?.get?.(slot.link) ?? links?.[slot.link]
      node = link && this.node.graph.getNodeById(link.origin_id)
      if (!node) break
      const name = LOADERS.includes(node.type) && node.widgets?.find((one) => one.name === "image")?.value
      if (name) return [viewed(String(name), node.type === "LoadImageOutput" ? "output" : "input"), null]
      slot = node.type === "Reroute" ? node.inputs?.[0] : null
    }
    if (!this.own) return ["", null]
    const { filename, subfolder, type, width, height } = this.own
    return [api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`), [width, height]]
  }

  isLinked(name) {
    return (this.node.inputs ?? []).some((input) => input.link != null && input.widget?.name === name)
  }

  /** Return what a text holds; what another node's output feeds is not known here. */
  held(name) {
    return this.isLinked(name) ? "" : this.texts[name].value
  }

  marks() {
    const [wanted, negative] = pointsOf(this.held("points"))
    const [unwanted] = pointsOf(this.held("not_points"))
    const boxes = list(read(this.held("box"), 4), 4)
    if (!wanted || !negative || !unwanted || !boxes) return null // somebody is typing
    return { wanted, unwanted: [...negative, ...unwanted], boxes }
  }

  write({ wanted, unwanted, boxes }) {
    const points = (all) => (all.length ? JSON.stringify(all.map(([x, y]) => ({ x, y }))) : "")
    this.set("points", points(wanted))
    this.set("not_points", points(unwanted))
    this.set("box", boxes.map((box) => box.join(", ")).join("; "))
    this.draw()
    this.node.graph?.setDirtyCanvas?.(true, true)
  }

  set(name, text) {
    const widget = this.texts[name]
    if (widget.value === text || this.isLinked(name)) return
    widget.value = text
    widget.callback?.(text)
  }

  /** Return how much larger than the picture it is drawn, and where its corner lies, in pixels of the canvas. */
  fitted() {
    const { width, height } = this.canvas
    const scale = Math.min(width / this.size[0], height / this.size[1])
    return [scale, (width - this.size[0] * scale) / 2, (height - this.size[1] * scale) / 2]
  }

  place(event) {
    const seen = this.canvas.getBoundingClientRect()
    const [scale, left, top] = this.fitted()
    const across = ((event.clientX - seen.left) * this.canvas.width) / seen.width
    const down = ((event.clientY - seen.top) * this.canvas.height) / seen.height
    const inside = (value, most) => Math.round(Math.min(Math.max(value, 0), most))
    this.reach = this.canvas.width / seen.width / scale // pixels of the picture in one of the screen
    return [inside((across - left) / scale, this.size[0] - 1), inside((down - top) / scale, this.size[1] - 1)]
  }

  finish(event) {
    const [start, end] = [this.start, this.end]
    this.start = this.end = null
    const marks = this.image && start && this.marks()
    if (!marks) return this.draw()
    const far = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) / this.reach
    if (far(start, end) > DRAGGED) {
      const [left, right] = [start[0], end[0]].sort((a, b) => a - b)
      const [top, bottom] = [start[1], end[1]].sort((a, b) => a - b)
      if (right > left && bottom > top) marks.boxes.push([left, top, right, bottom])
      return this.write(marks)
    }
    const corners = ([l, t, r, b]) => [[l, t], [r, t], [l, b], [r, b]]
    const hit = (one) => far(one, end) <= NEAR
    for (const [kind, all] of Object.entries(marks)) {
      const found = all.findIndex((one) => (kind === "boxes" ? corners(one).some(hit) : hit(one)))
      if (found >= 0) {
        all.splice(found, 1)
        return this.write(marks)
      }
    }
    marks[event.shiftKey || event.button === 2 ? "unwanted" : "wanted"].push(end)
    this.write(marks)
  }

  draw() {
    const [invites, none, clear] = words()
    this.clear.title = clear
    this.clear.setAttribute("aria-label", clear)
    this.text.textContent = this.image ? invites : none
    const sharp = globalThis.devicePixelRatio || 1
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * sharp))
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * sharp))
    if (!this.image) return
    const brush = this.canvas.getContext("2d")
    const [scale, left, top] = this.fitted()
    brush.drawImage(this.image, left, top, this.size[0] * scale, this.size[1] * scale)
    const at = ([x, y]) => [left + (x + 0.5) * scale, top + (y + 0.5) * scale]
    const { wanted, unwanted, boxes } = this.marks() ?? { wanted: [], unwanted: [], boxes: [] }
    const drawn = this.start && Math.hypot(this.start[0] - this.end[0], this.start[1] - this.end[1]) > 1
    for (const box of drawn ? [...boxes, [...this.start, ...this.end]] : boxes) {
      const [[x, y], [right, bottom]] = [at(box.slice(0, 2)), at(box.slice(2))]
      for (const [colour, dashes] of [["#000", []], ["#ffd400", [6, 4]]]) {
        brush.strokeStyle = colour
        brush.lineWidth = 2 * sharp
        brush.setLineDash(dashes)
        brush.strokeRect(x, y, right - x, bottom - y)
      }
    }
    brush.setLineDash([])
    for (const [all, colour, sign] of [[wanted, "#1d9e3a", "+"], [unwanted, "#d02b2b", "−"]])
      for (const one of all) {
        const [x, y] = at(one)
        brush.beginPath()
        brush.arc(x, y, 7 * sharp, 0, 2 * Math.PI)
        brush.fillStyle = colour
        brush.fill()
        brush.lineWidth = 1.5 * sharp
        brush.strokeStyle = brush.fillStyle = "#fff"
        brush.stroke()
        brush.font = `bold ${12 * sharp}px sans-serif`
        brush.textAlign = "center"
        brush.textBaseline = "middle"
        brush.fillText(sign, x, y + sharp)
      }
  }
}

/** Return the address of a file of Load Image's list: "clipspace/x.png [input]" says its folder too. */
function viewed(name, folder) {
  const [, path, annotated] = name.match(/^(.*?)(?: \[(\w+)\])?$/)
  const cut = path.lastIndexOf("/")
  const file = { filename: path.slice(cut + 1), subfolder: cut < 0 ? "" : path.slice(0, cut), type: annotated ?? folder }
  return api.apiURL(`/view?${new URLSearchParams(file)}`)
}

app.registerExtension({
  name: "gossamer.points",

  nodeCreated(node) {
    if (!NODES.includes(node.comfyClass) || !node.addDOMWidget) return
    if (!TEXTS.every((name) => node.widgets?.some((one) => one.name === name))) return
    const picture = new Picture(node)
    const options = { serialize: false, hideOnZoom: false, getMinHeight: () => TALL, getValue: () => "", setValue() {} }
    const widget = node.addDOMWidget("picture", "gossamer_points", picture.element, options)
    widget.serialize = false
    const [ran, removed] = [node.onExecuted, node.onRemoved]
    node.onExecuted = function (told) {
      picture.own = told?.gossamer_source?.[0] ?? picture.own
      picture.look()
      return ran?.apply(this, arguments)
    }
    node.onRemoved = function () {
      picture.release()
      return removed?.apply(this, arguments)
    }
    node.setSize?.([Math.max(node.size[0], 320), node.computeSize()[1]])
  },
})
