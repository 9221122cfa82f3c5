export default {
  base: './',
  esbuild: { jsx: 'automatic' },
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', 'process.platform': '"linux"' },
  build: { outDir: 'out/app', minify: false, modulePreload: false, chunkSizeWarningLimit: 99999 },
};
