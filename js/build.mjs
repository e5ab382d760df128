// Bundles the front end into the two files that the Python package ships: no imports left, style and icons inside. The
// first is the widget; the second is what is opened seldom, which the first one imports when it is first opened. A third
// is the site's: a kernel for its demo page, which imports nothing of the two.
import { readFile, writeFile } from "node:fs/promises";
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
        .replace(/(?<=<path d="[^"]*)"\/><path d="(?=M)/g, "")
        // A hundredth of a 24th of an icon is nothing that is seen.
        .replace(/-?\d*\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2))).replace("0.", "."));
      return { contents: shapes.trim(), loader: "text" };
    });
  },
};

/** Variables of the style that nothing but the style knows, and what they are called in the bundle. */
const COLOURS = /--dg-(brand|line|muted|surface|hover|text|good|warn|bad|check|square|fill|font)\b/g;

const style = {
  name: "style",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      // What variables are set to is left as it is written, line by line.
      const tight = code.trim().replace(/(?<=[,(]) | (?=\))/g, "");
      return { contents: tight.replace(COLOURS, (_, name) => `--dg${name.slice(0, 2)}`), loader: "text" };
    });
  },
};

/**
 * Names that only the source knows: none of them is one of the browser's, of a message, or stands in quotes. They are
 * shortened as the names of variables are.
 */
const OWN = `
  askForModels badly believe changeBrush connected copyCode copyPicture dismissed doubts drawBefore drawMask
  drawOverlay drawPicture drawer element expect exporting factor focusButton focusSelected forget gesture
  goOnWhereWeLook grasping hears hover isNew keepFocus looking moveHandle newImage newest painted peeking
  placeable pressed receive remedies reveal ringAt roving rubber selectOnlyWhatIs sentSeed showWhatIsWorkedOn
  shownHeight shownWidth sliding softness starting striped takeAway takeSeed toPicture uploading waits
`;

/** Both notices, in a file beside the bundle; the names of all the icons that are Feather's, of which few are used here, are left to the package. */
const license = (await readFile(new URL("node_modules/lucide-static/LICENSE", import.meta.url), "utf8")).replace(
  /(?<=derived from the Feather project:\s+)airplay, .*/,
  "those listed in the LICENSE of lucide-static",
);

const folder = new URL("../draggan_widget/widget/static/", import.meta.url);
await writeFile(
  new URL("LICENSES.txt", folder),
  `index.js and more.js contain icons of Lucide.\n\n${license.trim()}\n`,
);

/**
 * The second bundle has nothing of the first: what it shares with it is a parameter, `dg`. Types may come from anywhere,
 * for nothing is left of them.
 */
const given = {
  name: "given",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.\// }, ({ path }) => {
      if (path === "../shared.ts") return { path, namespace: "given" };
      return { errors: [{ text: `${path} is of the first bundle; give it along in shared.ts` }] };
    });
    onLoad({ filter: /.*/, namespace: "given" }, async () => {
      const shared = await readFile(new URL("src/shared.ts", import.meta.url), "utf8");
      const names = [...shared.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) => list.trim().split(/,\s*/));
      return { contents: `export const { ${names.join(", ")} } = dg;` };
    });
  },
};

const shared = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  target: "es2022",
  charset: "utf8",
  minify: true,
  mangleProps: new RegExp(`^(${OWN.trim().split(/\s+/).join("|")})$`),
  define: { "Number.NEGATIVE_INFINITY": "NEVER", "Number.POSITIVE_INFINITY": "Infinity" },
  logLevel: "info",
};
const BANNER = "/*! Built from js/. Icons: Lucide, see LICENSES.txt. */";

const { mangleCache } = await build({
  ...shared,
  entryPoints: ["src/index.ts"],
  outfile: "../draggan_widget/widget/static/index.js",
  format: "esm",
  inject: ["src/never.ts"],
  plugins: [icons, style],
  mangleCache: {},
  banner: { js: BANNER },
});

await build({
  ...shared,
  entryPoints: ["src/more/index.ts"],
  outfile: "../draggan_widget/widget/static/more.js",
  format: "iife",
  globalName: "more",
  plugins: [given, icons, style],
  // Properties of what both know are called the same in both.
  mangleCache,
  banner: { js: `${BANNER}\nexport default (dg)=>{` },
  footer: { js: "return more.default}" },
});

await build({
  ...shared,
  entryPoints: ["src/recorded/index.ts"],
  outfile: "../docs/site/demo/recorded.js",
  format: "esm",
  banner: { js: "/*! Built from js/. */" },
});
