// Each board as a literal of Grafana's type Dashboard; what the compiler says of it is printed.
//
// Argued: an interval variable has fields of its own (auto…), and a mark's target is its data source's query; the
// published type knows neither, and says of the second itself that it should be "just a normal query target".
// A string is no member of an enum to the compiler: whether it is the value of one is looked up in the types.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [work, folder] = process.argv.slice(2);
const ts = createRequire(join(work, "x.js"))("typescript");
const types = join(work, "node_modules/@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen");
const declared = readFileSync(`${types}.d.ts`, "utf8");

const isValueOf = (value, name) => {
  const found = declared.match(new RegExp(`enum ${name} \\{([^}]*)\\}`));
  return found !== null && found[1].includes(`= "${value}"`);
};

const files = ["en", "zh"].flatMap((lang) => readdirSync(join(folder, lang)).map((name) => join(folder, lang, name)));
let wrong = 0;
const sources = files.map((file, number) => {
  const board = JSON.parse(readFileSync(file, "utf8"));
  for (const variable of board.templating.list) {
    for (const own of ["auto", "auto_min", "auto_count"]) delete variable[own];
  }
  for (const { target } of board.annotations.list) {
    for (const key of Object.keys(target)) if (!["limit", "matchAny", "tags", "type"].includes(key)) delete target[key];
  }
  const path = join(work, `board${number}.ts`);
  const text = JSON.stringify(board, null, 1);
  writeFileSync(path, `import type { Dashboard } from ${JSON.stringify(types)};\nexport const board: Dashboard = ${text};\n`);
  return path;
});
const program = ts.createProgram(sources, { noEmit: true, strict: true, skipLibCheck: true });
for (const each of ts.getPreEmitDiagnostics(program)) {
  const said = ts.flattenDiagnosticMessageText(each.messageText, "\n");
  const [, value, name] = said.match(/Type '"([^"]*)"' is not assignable to type '(\w+)'/) ?? [];
  if (value !== undefined && isValueOf(value, name)) continue;
  wrong += 1;
  console.error(`${files[sources.indexOf(each.file?.fileName)] ?? each.file?.fileName}: ${said}`);
}
console.log(JSON.stringify({ boards: files.length, failed: wrong }));
process.exit(wrong ? 1 : 0);
