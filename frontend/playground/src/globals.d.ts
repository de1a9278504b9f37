/** File names of Monaco's workers, put in by build.mjs. */
declare const PUFF_WORKERS: { editor: string } & Record<string, string>;

interface JSON {
  /** Browsers that can keep a number as it was written. */
  rawJSON?: (text: string) => unknown;
}
