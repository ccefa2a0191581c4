import { Database } from 'bun:sqlite';
import { sqliteStore } from '../../src/store/sqlite.ts';
import { folders } from '../source/folder.ts';
import { storeSuite } from './store.suite.ts';

const folder = folders();

storeSuite({
  name: 'sqlite',
  make() {
    const path = folder();
    const open = () => sqliteStore(new Database(path));
    return { store: open(), reopen: open };
  },
});
