/**
 * Tells Monaco where its background workers are: beside this script, under names that the build fixes.
 *
 * The bundler cannot find them by itself, because Monaco asks for a worker by a label at run time.
 */

Object.assign(globalThis, {
  MonacoEnvironment: {
    /**
     * @param {string} _moduleId
     * @param {string} label
     */
    getWorker(_moduleId, label) {
      const file = PUFF_WORKERS[label] ?? PUFF_WORKERS.editor;
      return new Worker(new URL(file, import.meta.url), { name: `monaco-${label}` });
    },
  },
});
