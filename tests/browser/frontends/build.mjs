// Builds Credits.jsx and Credits.vue of this folder into react.js and vue.js, each of which shows itself in #app.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { compileScript, parse } from "vue/compiler-sfc";

const isCustomElement = (tag) => tag.includes("-");

const { descriptor, errors } = parse(readFileSync("Credits.vue", "utf8"), { filename: "Credits.vue", templateParseOptions: { isCustomElement } });
if (errors.length) throw errors[0];
const options = { id: "credits", inlineTemplate: true, templateOptions: { compilerOptions: { isCustomElement } } };
writeFileSync("Credits.vue.js", compileScript(descriptor, options).content);

writeFileSync("entry-react.jsx", `
  import { createElement } from "react";
  import { createRoot } from "react-dom/client";
  import { Credits } from "./Credits.jsx";
  createRoot(document.getElementById("app")).render(createElement(Credits));
`);
writeFileSync("entry-vue.js", `
  import { createApp } from "vue";
  import Credits from "./Credits.vue.js";
  createApp(Credits).mount("#app");
`);

const define = { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" };
for (const [entry, outfile] of [["entry-react.jsx", "react.js"], ["entry-vue.js", "vue.js"]]) {
  await build({ entryPoints: [entry], outfile, bundle: true, format: "esm", jsx: "automatic", define, logLevel: "warning" });
}
