// Bundles what the Python package ships: the widget's two files (anywidget loads no chunks), and the module that authors of
// pages import; runs in node.
import * as esbuild from "esbuild";

/** @type {esbuild.BuildOptions} */
const options = {
  entryPoints: [
    { in: "src/widget.ts", out: "widget" },
    { in: "src/widget.css", out: "widget" },
    { in: "src/module.ts", out: "forge_rtc" },
  ],
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
