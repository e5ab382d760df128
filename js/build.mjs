// Bundles the front end into the one file that the Python package ships: no imports left, style and icons inside.
import { readFile } from "node:fs/promises";
import { build, transform } from "esbuild";

/** Icons travel as the bare shapes; `icons.ts` puts the same frame around every one. */
const icons = {
  name: "icons",
  setup({ onLoad }) {
    onLoad({ filter: /\.svg$/ }, async ({ path }) => {
      const svg = await readFile(path, "utf8");
      const shapes = svg
        .replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, "")
        .replace(/\s+/g, " ")
        .replace(/ ?\/> ?/g, "/>")
        // One path draws what several did, once each of them begins where it says and not where the last one ended.
        .replace(/"m(-?[\d.]+) ?(-?[\d.]+) ?(?=[-.\d])/g, '"M$1 $2l')
        .replace(/(?<=<path d="[^"]*)"\/><path d="(?=M)/g, "");
      return { contents: shapes.trim(), loader: "text" };
    });
  },
};

const style = {
  name: "style",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

/** Both notices; the names of all the icons that are Feather's, of which few are used here, are left to the package. */
const license = (await readFile(new URL("node_modules/lucide-static/LICENSE", import.meta.url), "utf8")).replace(
  /(?<=derived from the Feather project:\s+)airplay, .*/,
  "those listed in the LICENSE of lucide-static",
);

await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["src/index.ts"],
  outfile: "../draggan_widget/widget/static/index.js",
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  minify: true,
  plugins: [icons, style],
  banner: { js: `/*! Built from js/ by \`npm run build\`. It contains icons of Lucide:\n\n${license.trim()}\n*/` },
  logLevel: "info",
});
