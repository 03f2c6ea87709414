/**
 * @peculiar/x509 refuses to load without the metadata part of the Reflect API, which its container for dependency
 * injection asks for the parameters of a constructor. None of its classes has any, so an empty answer is the right one.
 * Must be imported before it.
 */
interface ReflectMetadata {
  getMetadata?: (key: string, target: object) => unknown;
  getOwnMetadata?: (key: string, target: object) => unknown;
  defineMetadata?: (key: string, value: unknown, target: object) => void;
}

const metadata = new WeakMap<object, Map<string, unknown>>();
const reflect = Reflect as ReflectMetadata;
reflect.getOwnMetadata ??= (key, target) => metadata.get(target)?.get(key);
reflect.getMetadata ??= reflect.getOwnMetadata;
reflect.defineMetadata ??= (key, value, target) => {
  const values = metadata.get(target) ?? new Map<string, unknown>();
  metadata.set(target, values.set(key, value));
};
