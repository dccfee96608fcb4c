// Writes the one script of the board; `node build.mjs`, after `npm ci`.
import { build } from "esbuild";

await build({
  entryPoints: ["src/board.ts"],
  outfile: "../src/ladderpipe/web/static/board.js",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "inline",
});
