// Bundles the front end into the two files that the Python package ships (anywidget loads no chunks); runs in node.
import * as esbuild from "esbuild";

/** @type {esbuild.BuildOptions} */
const options = {
  entryPoints: ["src/widget.ts", "src/widget.css"],
  outdir: "../forge_rtc_nb/static",
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  logLevel: "info",
};

if (process.argv.includes("--watch")) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
}
