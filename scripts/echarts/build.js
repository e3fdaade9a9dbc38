// Writes ECharts' parts, with the licences of all that is in them, to the page's vendored files.
import { createHash } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const vendor = new URL("../../service/pages/static/vendor/", import.meta.url);
const modules = new URL("node_modules/", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("echarts/package.json", modules)));
const name = `echarts-${version}`;

await build({
  entryPoints: ["parts.js"],
  absWorkingDir: import.meta.dirname,
  outfile: new URL(`${name}.parts.min.js`, vendor).pathname,
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "echarts",
  target: "es2020",
  define: { "process.env.NODE_ENV": '"production"' },
  banner: { js: `/*! Parts of Apache ECharts ${version}; see ${name}.LICENSE and ${name}.NOTICE */` },
});

for (const [from, to] of [
  ["echarts/LICENSE", "LICENSE"],
  ["echarts/NOTICE", "NOTICE"],
  ["echarts/licenses/LICENSE-d3", "LICENSE-d3"],
  ["zrender/LICENSE", "LICENSE-zrender"],
  ["tslib/LICENSE.txt", "LICENSE-tslib"],
]) copyFileSync(new URL(from, modules), new URL(`${name}.${to}`, vendor));

const files = readdirSync(vendor).filter((file) => file !== "CHECKSUMS").sort();
const lines = files.map((file) => {
  const digest = createHash("sha256").update(readFileSync(new URL(file, vendor))).digest("hex");
  return `${digest}  ${file}\n`;
});
writeFileSync(new URL("CHECKSUMS", vendor), lines.join(""));
