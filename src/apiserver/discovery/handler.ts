import { negotiate } from '../http/negotiate.ts';
import { StatusError } from '../http/status.ts';
import type { ApiRequest, Handler, WholeAnswer } from '../http/types.ts';
import { viewKinds } from '../view/kinds.ts';
import type { ViewKind } from '../view/types.ts';
import { Document } from './document.ts';
import {
  AGGREGATED_DISCOVERY,
  aggregatedDiscovery,
  groupDocument,
  groupList,
  resourceList,
  versionDocument,
} from './documents.ts';
import { discoveryForm } from './form.ts';
import { GROUP_PATH, GROUP_VERSION_PATH } from './names.ts';
import { openApiV2 } from './openapiv2.ts';
import { openApiV3 } from './openapiv3.ts';

type Route = (request: ApiRequest) => WholeAnswer;

/**
 * Answers what clients and kube-apiserver ask before they ask for objects: which resources there are, and what they
 * look like. All of it is known when the process starts, so every answer has an ETag and costs nothing.
 */
export class DiscoveryHandler implements Handler {
  readonly #routes: ReadonlyMap<string, Route>;

  constructor() {
    const openapi = new Document(openApiV3(viewKinds));
    this.#routes = new Map<string, Route>([
      ['/apis', groupsRoute(viewKinds)],
      [GROUP_PATH, jsonRoute(groupDocument())],
      [GROUP_VERSION_PATH, jsonRoute(resourceList(viewKinds))],
      ['/openapi/v2', jsonRoute(openApiV2(viewKinds))],
      ['/openapi/v3', jsonRoute(openApiV3Root(openapi.hash))],
      [OPENAPI_V3_PATH, openApiV3Route(openapi)],
      ['/version', jsonRoute(versionDocument())],
    ]);
  }

  /** @throws StatusError NotFound, MethodNotAllowed, NotAcceptable */
  handle(request: ApiRequest): Promise<WholeAnswer> {
    return new Promise((resolve) => resolve(this.#answer(request)));
  }

  #answer(request: ApiRequest): WholeAnswer {
    const path = request.info.path.replace(/(?<=.)\/$/, '');
    const route = this.#routes.get(path);
    if (route === undefined) {
      throw new StatusError('NotFound', 'the server could not find the requested resource', { details: {} });
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const message = `${request.method} is not supported on ${path}: it can only be read`;
      throw new StatusError('MethodNotAllowed', message, { details: {}, headers: { allow: 'GET, HEAD' } });
    }
    return route(request);
  }
}

function groupsRoute(kinds: readonly ViewKind[]): Route {
  const { g, v, as } = AGGREGATED_DISCOVERY;
  const plain = new Document(groupList());
  const aggregated = new Document(aggregatedDiscovery(kinds));
  // kube-apiserver tells by these parameters that it was understood.
  const contentType = `application/json;g=${g};v=${v};as=${as}`;
  return ({ accept, ifNoneMatch }) =>
    discoveryForm(accept) === 'plain'
      ? plain.answer(ifNoneMatch)
      : aggregated.answer(ifNoneMatch, { contentType, headers: { 'cache-control': 'public' } });
}

function jsonRoute(content: object): Route {
  const document = new Document(content);
  return (request) => {
    refuseOtherThanJson(request);
    return document.answer(request.ifNoneMatch);
  };
}

const OPENAPI_V3_PATH = `/openapi/v3${GROUP_VERSION_PATH}`;

/**
 * `/openapi/v3`: our own path and no other. kube-apiserver merges the roots of all servers, and whoever names a path of
 * another one takes it over.
 */
function openApiV3Root(hash: string): object {
  return {
    paths: { [GROUP_VERSION_PATH.slice(1)]: { serverRelativeURL: `${OPENAPI_V3_PATH}?hash=${hash}` } },
  };
}

/** For as long as a cache likes: the address holds the hash. */
const IMMUTABLE = 'public, immutable, max-age=31536000';

/**
 * An address with an old hash gets today's document, which may not be kept under it. The redirection that Kubernetes'
 * own servers send would not do: kube-apiserver makes a 502 of it.
 */
function openApiV3Route(document: Document): Route {
  return (request) => {
    refuseOtherThanJson(request);
    const isCurrent = request.query.get('hash') === document.hash;
    return document.answer(
      request.ifNoneMatch,
      isCurrent ? { headers: { 'cache-control': IMMUTABLE } } : undefined,
    );
  };
}

function refuseOtherThanJson({ accept }: ApiRequest): void {
  negotiate(accept, { isList: false, isWatch: false, allowTransforms: false });
}
