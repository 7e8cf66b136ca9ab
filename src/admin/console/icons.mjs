// Drawings of 24 by 24, in the colour of the text around them.
import { svg } from "./dom.mjs";

const PATHS = {
  logo: "M4 14v-4M9 18V6M14 15V9M19 20V4",
  overview: "M4 20V10M10 20V4M16 20v-8M20.500 20H3.500",
  events: "M3 12h4l3-8 4 16 3-8h4",
  channels: "M9 4 7 20M17 4l-2 16M4 9h17M3 15h17",
  connections: "M9 7 7 5m8 2 2-2M8 11h8v3a4 4 0 0 1-8 0zm4 7v3",
  trace: "M5 5h5a3 3 0 0 1 3 3v8a3 3 0 0 0 3 3h3M5 3v4M19 17v4",
  send: "M21 3 10 14M21 3l-7 18-4-7-7-4z",
  apps: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  webhooks: "M9 8a3.500 3.500 0 1 1 5 3l3 5M8 17h7a3 3 0 1 0 3-3M7 13a3.500 3.500 0 1 0 1.500 6l3.500-8",
  doctor: "M6 3v5a4 4 0 0 0 8 0V3M10 12v3a5 5 0 0 0 10 0v-2M20 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  plus: "M12 5v14M5 12h14",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  key: "M15 9a4 4 0 1 0-4 4l1-.500 2 2h2v2h2v2h3v-3l-6-6zM9 9h.010",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  pause: "M8 5v14M16 5v14",
  play: "M7 4l13 8-13 8z",
  close: "M6 6l12 12M18 6 6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
  theme: "M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  lock: "M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3",
  back: "M14 6l-6 6 6 6",
  refresh: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
};

/** @typedef {keyof typeof PATHS} Icon */

/** @param {Icon} name */
export function icon(name) {
  return svg("svg", {
    viewBox: "0 0 24 24", width: 16, height: 16, fill: "none", stroke: "currentColor", "stroke-width": 1.8,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true", class: "icon",
  }, svg("path", { d: PATHS[name] }));
}
