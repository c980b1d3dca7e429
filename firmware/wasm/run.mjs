// node run.mjs ROOT CHECK INPUT: runs one check on MicroPython's WebAssembly port; what it prints goes to stdout.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript";

const [root, check, input] = process.argv.slice(2);
const machine = await loadMicroPython({
  heapsize: 4 * 1024 * 1024,
  linebuffer: true,
  stdout: (line) => process.stdout.write(line + "\n"),
});
const copy = (from, to) => {
  machine.FS.mkdirTree(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) copy(join(from, entry.name), `${to}/${entry.name}`);
    else if (entry.name.endsWith(".py")) machine.FS.writeFile(`${to}/${entry.name}`, readFileSync(join(from, entry.name)));
  }
};
for (const part of ["lib", "desktop", "checks"]) copy(join(root, part), `/firmware/${part}`);
machine.FS.writeFile("/input.json", readFileSync(input));
try {
  machine.runPython(`
import sys
sys.path[:] = ["/firmware/lib", "/firmware/desktop", "/firmware/checks"]
import ${check}
${check}.main("/input.json")
`);
} catch (error) {
  // The machine's own text: the trace of Node.js would show the whole compiled program.
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
