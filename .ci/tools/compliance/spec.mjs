// Lets the compliance suite read the Pinning Service specification from a file: it names a network
// address in its constants, and this hook puts HOLDFAST_PSA_SPEC in its place.
// Use: HOLDFAST_PSA_SPEC=FILE node --import ./spec.mjs .../dist/src/index.js
import { register } from 'node:module';

const hooks = `
  export async function load(url, context, next) {
    const loaded = await next(url, context);
    const spec = process.env.HOLDFAST_PSA_SPEC;
    if (!spec || !url.endsWith('/dist/src/utils/constants.js')) return loaded;
    const source = loaded.source.toString()
      .replace(/const specLocation = .*/, 'const specLocation = ' + JSON.stringify(spec) + ';');
    return { ...loaded, source };
  }
`;
register('data:text/javascript,' + encodeURIComponent(hooks));
