import { defineConfig } from "vite";

// Nothing is inlined: a strict Content-Security-Policy lets the page run as it is.
export default defineConfig({
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { port: 5173, strictPort: true },
});
