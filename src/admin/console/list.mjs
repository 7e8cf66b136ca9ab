// Tables of any length: only the rows that can be seen are elements.
import { h } from "./dom.mjs";

/** Rows that are there beyond those that can be seen. */
const BEYOND = 8;

/**
 * @template Item
 * @typedef {object} Options
 * @property {string} label
 * @property {string} layout a class, which sets the columns
 * @property {(string | Node)[]} columns
 * @property {number} [rowHeight] pixels
 * @property {(item: Item) => Node[]} cells
 * @property {(item: Item) => void} [open] on a click, and on Enter
 * @property {() => void} [end] when the last rows are in sight
 * @property {(item: Item) => unknown} [key] what an item is known by; those that are made anew need one, so that their rows stay
 * @property {Node} empty what there is where there are no rows
 */

/**
 * @template Item
 */
export class List {
  /** @type {Item[]} */ items = [];
  /** @type {Map<unknown, { item: Item, row: HTMLElement }>} those that can be seen, by their keys */ rows = new Map();
  /** The row that keys move. */
  selected = -1;

  /** @param {Options<Item>} options */
  constructor(options) {
    this.options = options;
    this.rowHeight = options.rowHeight ?? 36;
    this.space = h("div", { role: "presentation", class: "list-space" });
    this.body = h("div", {
      role: "rowgroup", class: "list-body", tabindex: 0, "aria-label": options.label,
      onscroll: () => this.draw(), onkeydown: (/** @type {KeyboardEvent} */ event) => this.press(event),
    }, this.space);
    const heads = options.columns.map((column) => h("div", { role: "columnheader" }, column));
    this.table = h("div", { role: "table", "aria-label": options.label, class: `list ${options.layout}` },
      h("div", { role: "rowgroup" }, h("div", { role: "row", class: "list-row list-head" }, ...heads)), this.body);
    this.nothing = h("div", { class: "list-empty" }, options.empty);
    this.loading = h("div", { class: "list-empty skeletons", "aria-hidden": "true" },
      ...Array.from({ length: 6 }, () => h("div", { class: "skeleton" })));
    this.element = h("div", { class: "list-frame" }, this.table, this.nothing, this.loading);
    this.nothing.hidden = true;
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.body);
  }

  /** @param {Item[]} items */
  set(items) {
    this.items = items;
    this.loading.hidden = true;
    this.nothing.hidden = items.length > 0;
    if (this.selected >= items.length) this.selected = items.length - 1;
    this.table.setAttribute("aria-rowcount", String(items.length + 1));
    this.space.style.height = `${items.length * this.rowHeight}px`;
    this.draw();
  }

  /** Newer rows stand above: what is looked at stays where it is. @param {Item[]} items @param {number} added */
  setWithAdded(items, added) {
    if (this.selected >= 0) this.selected += added;
    if (this.body.scrollTop > 0) {
      this.space.style.height = `${items.length * this.rowHeight}px`;
      this.body.scrollTop += added * this.rowHeight;
    }
    this.set(items);
  }

  draw() {
    const height = this.body.clientHeight || 400;
    const first = Math.max(0, Math.floor(this.body.scrollTop / this.rowHeight) - BEYOND);
    const last = Math.min(this.items.length, Math.ceil((this.body.scrollTop + height) / this.rowHeight) + BEYOND);
    const before = this.rows;
    this.rows = new Map();
    for (let index = first; index < last; index += 1) {
      const item = this.items[index];
      if (item === undefined) continue;
      // A row stays the same element, so that a click is not lost while others come above it.
      const key = this.key(item), known = before.get(key);
      const row = known?.row ?? this.row(item);
      if (known !== undefined && known.item !== item) this.refill(row, item);
      this.rows.set(key, { item, row });
      this.place(row, index);
      if (!row.isConnected) this.space.append(row);
    }
    for (const [key, { row }] of before) if (!this.rows.has(key)) row.remove();
    if (last >= this.items.length - BEYOND) this.options.end?.();
  }

  /** @param {Item} item */
  key(item) {
    return this.options.key?.(item) ?? item;
  }

  /** Shows another item with the same key; cells that are as they were stay. @param {HTMLElement} row @param {Item} item */
  refill(row, item) {
    this.options.cells(item).forEach((cell, index) => {
      const place = row.children[index];
      if (!place?.firstChild?.isEqualNode(cell)) place?.replaceChildren(cell);
    });
  }

  /** @param {Item} item */
  row(item) {
    const { cells, open } = this.options;
    const key = this.key(item);
    const choose = () => {
      this.selected = this.items.findIndex((other) => this.key(other) === key);
      const now = this.items[this.selected];
      this.draw();
      if (now !== undefined) open?.(now);
    };
    const row = h("div", {
      role: "row", class: `list-row${open ? " opens" : ""}`, onclick: open && choose,
    }, ...cells(item).map((cell) => h("div", { role: "cell" }, cell)));
    row.style.height = `${this.rowHeight}px`;
    return row;
  }

  /** @param {HTMLElement} row @param {number} index */
  place(row, index) {
    row.style.transform = `translateY(${index * this.rowHeight}px)`;
    row.setAttribute("aria-rowindex", String(index + 2));
    row.classList.toggle("selected", index === this.selected);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const by = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (by !== undefined) {
      this.selected = Math.min(this.items.length - 1, Math.max(0, this.selected + by));
      const top = this.selected * this.rowHeight;
      if (top < this.body.scrollTop) this.body.scrollTop = top;
      const bottom = top + this.rowHeight - this.body.clientHeight;
      if (bottom > this.body.scrollTop) this.body.scrollTop = bottom;
      this.draw();
    } else if (event.key === "Enter") {
      const item = this.items[this.selected];
      if (item !== undefined) this.options.open?.(item);
    } else return;
    event.preventDefault();
  }
}

/**
 * What stands where nothing is.
 * @param {string} title
 * @param {...(Node | string)} text
 */
export function empty(title, ...text) {
  return h("div", { class: "empty" }, h("h3", {}, title), h("p", {}, ...text));
}
