// Bundles `browser.mjs` into the folder given as the only argument, with a page around it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const [out] = process.argv.slice(2);
await build({
  entryPoints: ["browser.mjs"],
  outfile: join(out, "clients.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  define: { "globalThis.__DEV__": "false" },
  logLevel: "warning",
});
writeFileSync(join(out, "index.html"), '<!doctype html><title>clients</title><link rel="icon" href="data:,"><script type="module" src="clients.js"></script>');
