import { writeSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { Fault } from '../../base/fault.ts';
import { ofFile } from '../../base/file.ts';

/** A file that is there whole or not at all: written beside its name, and renamed when all of it is on disk. */
export class WholeFile {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {}

  /** @throws Fault `config` where the file cannot be made */
  static async create(path: string): Promise<WholeFile> {
    try {
      return new WholeFile(path, await open(`${path}.part`, 'w'));
    } catch (error) {
      throw new Fault('config', `${path} cannot be written: ${(error as Error).message}`);
    }
  }

  async write(chunks: Uint8Array[]) {
    try {
      for (const chunk of chunks) {
        for (let written = 0; written < chunk.length; ) {
          const { bytesWritten } = await this.file.write(chunk, written);
          written += bytesWritten;
        }
      }
    } catch (error) {
      throw ofFile(error, this.path);
    }
  }

  /** For the odd line from where nothing can be waited for. */
  writeNow(line: string) {
    const bytes = Buffer.from(line);
    for (let written = 0; written < bytes.length; ) written += writeSync(this.file.fd, bytes, written);
  }

  async finish() {
    await this.file.sync();
    await this.file.close();
    await rename(`${this.path}.part`, this.path);
  }

  async abandon() {
    await this.file.close();
    await rm(`${this.path}.part`, { force: true });
  }
}
