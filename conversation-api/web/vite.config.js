import { defineConfig } from "vite";

import { precompress } from "./precompress.js";

const API = process.env.API_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  // Relative addresses: the page works below any path.
  base: "./",
  plugins: [precompress()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { target: "es2022", modulePreload: { polyfill: false } },
  // `npm run dev` takes what it does not serve itself from a running API.
  server: { proxy: { "/api": API, "/broadcasting": API } },
});
