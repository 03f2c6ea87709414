import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Imports point one way: base ← telemetry ← api ← coder, kube ← controller, apiserver, export ← main. */
const mayImport = {
  base: [],
  api: ['base'],
  telemetry: ['base'],
  coder: ['base', 'api', 'telemetry'],
  kube: ['base', 'api', 'telemetry'],
  controller: ['base', 'api', 'telemetry', 'coder', 'kube'],
  apiserver: ['base', 'api', 'telemetry', 'kube'],
  export: ['base', 'api', 'telemetry', 'coder'],
};
const folders = Object.keys(mayImport);

const importDirections = folders.map((folder) => {
  const forbidden = [
    ...folders.filter((f) => f !== folder && !mayImport[folder].includes(f)),
    'main',
    'config',
    'commands',
  ];
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(${forbidden.join('|')})(/|\\.ts$)`,
              message: `src/${folder} may import only ${mayImport[folder].join(', ') || 'nothing of the project'} (docs/explanation/architecture.md).`,
            },
            { regex: '(^|/)(test|hack)/', message: 'src must not import tests or scripts.' },
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', '.local/'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // The types of winston's transports are interfaces beside its classes, which this rule takes for a mistake.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      complexity: ['error', 25],
      'max-depth': ['error', 4],
      'max-lines': ['error', { max: 450, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'The environment is read in src/main.ts and judged in src/config only.',
        },
      ],
    },
  },
  ...importDirections,
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'max-lines': 'off',
    },
  },
  { files: ['hack/**/*', 'test/support/reporter.cjs'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        require: 'readonly',
        module: 'writable',
      },
    },
  },
);
