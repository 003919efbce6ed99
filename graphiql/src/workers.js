// Monaco's workers as files of this origin (the build names them by their content).
const workers = __WORKERS__;

globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    return new Worker(new URL(workers[label] ?? workers.editor, import.meta.url), { name: label });
  },
};
