/**
 * Compiles the kernel: `bun tool/kernel.ts` after a change to src/pipeline/kernel/lines.as.ts, or to the compiler's version.
 *
 * Promises: equal source and compiler, equal module; `compileKernel` writes nothing. The module lies in the checkout as text
 * (docs/decisions/kernel.md says why), and a test beside it holds that it is what the source compiles to.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** The compiler's entry. Its own types would declare globals of AssemblyScript, `console` among them, for all our files. */
interface Compiler {
  main(args: readonly string[], host: CompilerHost): Promise<{ error: Error | null }>;
}

interface CompilerHost {
  readFile(name: string): string | null;
  writeFile(name: string, content: string | Uint8Array): void;
  listFiles(): string[];
  readonly stdout: { write(words: string): void };
  readonly stderr: { write(words: string): void };
}

const compilerModule: string = "assemblyscript/asc";

const folder = join(import.meta.dir, "..", "src", "pipeline", "kernel");
/** Its exports are the module's; they import the other files of the folder. */
const sources = ["lines.as.ts", "records.as.ts"];

/** The kernel's module, compiled from its source. Rejects with the compiler's messages. */
export async function compileKernel(): Promise<Uint8Array> {
  const texts = new Map<string, string>();
  for (const name of await readdir(folder)) if (name.endsWith(".as.ts")) texts.set(name, await textOf(name));
  let messages = "";
  let module: Uint8Array | undefined;
  const options = ["--outFile", "module.wasm", "-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--use", "abort="];
  const compiler = (await import(compilerModule)) as Compiler;
  const { error } = await compiler.main([...sources, ...options], {
    readFile: (name) => texts.get(name) ?? null,
    writeFile: (_name, content) => {
      if (content instanceof Uint8Array) module = content;
    },
    listFiles: () => [],
    stdout: { write: () => {} },
    stderr: { write: (words) => void (messages += words) },
  });
  if (error !== null || module === undefined) throw new Error(`compile ${sources.join(", ")}:\n${messages}`, { cause: error });
  return module;
}

/** A source as the compiler wants it: it adds the last ending to the names of imports itself. */
async function textOf(name: string): Promise<string> {
  return (await Bun.file(join(folder, name)).text()).replaceAll('.as.ts";', '.as";');
}

/** module.ts as it is to be. */
export function moduleText(module: Uint8Array): string {
  const lines = module.toBase64().match(/.{1,140}/g) ?? [];
  return [
    "/** The kernel's WebAssembly module in base64. Made from lines.as.ts by `bun tool/kernel.ts`: change nothing here. */",
    "export const kernelModule =",
    `${lines.map((line) => `  "${line}"`).join(" +\n")};`,
    "",
  ].join("\n");
}

if (import.meta.main) {
  const module = await compileKernel();
  await Bun.write(join(folder, "module.ts"), moduleText(module));
  console.log(`src/pipeline/kernel/module.ts holds ${module.length} bytes of WebAssembly`);
}
