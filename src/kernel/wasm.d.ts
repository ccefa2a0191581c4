/** What `with { type: 'file' }` gives: a path, also inside a compiled binary. */
declare module '*.wasm' {
  const path: string;
  export default path;
}
