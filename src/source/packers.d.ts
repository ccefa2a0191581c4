/** Libraries that come without types. */
declare module 'lz4js' {
  const lz4: {
    /** At least what a frame becomes. */
    decompressBound(frame: Uint8Array): number;
    decompress(frame: Uint8Array, maxSize: number): Uint8Array;
    compress(bytes: Uint8Array): Uint8Array;
  };
  export default lz4;
}

declare module 'snappyjs' {
  export function uncompress(block: Uint8Array): Uint8Array;
  export function compress(bytes: Uint8Array): Uint8Array;
}
