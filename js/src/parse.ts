/**
 * What the kernel sends is checked here and nowhere else: past `parse` every message is what its type in `protocol.ts`
 * says.
 */
import {
  FIELD_KINDS,
  type Field,
  FORMATS,
  type Job,
  type KernelMessage,
  KINDS,
  type PointState,
  type Settings,
  type SettingValue,
  STATUSES,
  type Texture,
  type Xy,
} from "./protocol.ts";

/** The value where it is of its kind, undefined where it is not: nothing that came over the wire is undefined. */
type Reader<T> = (value: unknown) => T | undefined;
type Fields<T> = { readonly [Name in keyof T]: Reader<T[Name]> };

const when =
  <T>(test: (value: unknown) => boolean): Reader<T> =>
  (value) =>
    test(value) ? (value as T) : undefined;
const text = when<string>((value) => typeof value === "string");
const flag = when<boolean>((value) => typeof value === "boolean");
const number = when<number>(Number.isFinite);
const integer = when<number>(Number.isInteger);
const oneOf = <T extends string>(known: readonly T[]) => when<T>((value) => known.includes(value as T));
const orNull =
  <T>(read: Reader<T>): Reader<T | null> =>
  (value) =>
    value === null ? null : read(value);
const list =
  <T>(read: Reader<T>): Reader<readonly T[]> =>
  (value) => {
    const all = Array.isArray(value) ? value.map(read) : [undefined];
    return all.includes(undefined) ? undefined : (all as T[]);
  };
const numbers = list(number);
const xy: Reader<Xy> = (value) => {
  const [x, y, ...more] = numbers(value) ?? [];
  return x === undefined || y === undefined || more.length > 0 ? undefined : [x, y];
};

/** Only the fields that are known; throws where one of them is malformed. */
const object =
  <T extends object>(fields: Fields<T>): Reader<T> =>
  (value) => {
    if (typeof value !== "object" || value === null) return undefined;
    const found: Partial<T> = {};
    for (const name in fields) {
      found[name] = fields[name]((value as Partial<Record<typeof name, unknown>>)[name]);
      if (found[name] === undefined) throw bad(name, value);
    }
    return found as T;
  };

function bad(name: string, message: unknown): TypeError {
  return new TypeError(`bad ${name} in message: ${JSON.stringify(message)}`);
}

const settingValue: Reader<SettingValue> = (value) =>
  value === null ? null : (number(value) ?? text(value) ?? numbers(value));
const settings: Reader<Settings> = (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.values(value).every((each) => settingValue(each) !== undefined) ? (value as Settings) : undefined;
};
const FIELD: Fields<Field> = {
  name: text,
  kind: oneOf(FIELD_KINDS),
  label: text,
  help: text,
  least: number,
  most: orNull(number),
  above: flag,
  none: orNull(text),
  choices: list((value) => {
    const [key, said, ...more] = list(text)(value) ?? [];
    return key === undefined || said === undefined || more.length > 0 ? undefined : ([key, said] as const);
  }),
  advanced: flag,
};
const POINT: Fields<PointState> = {
  id: integer,
  handle: xy,
  target: xy,
  distance: number,
  confidence: orNull(number),
  texture: orNull(object<Texture>({ flat: flag, better: orNull(xy) })),
};
const JOB: Fields<Job> = {
  id: integer,
  what: oneOf([...KINDS, "load", "opening", "preparing"]),
  name: text,
  progress: orNull(number),
  note: text,
  stage: text,
};
const SIZE = { width: integer, height: integer };
const PICTURE = { format: oneOf(FORMATS), ...SIZE };

const MESSAGES: {
  readonly [Type in KernelMessage["type"]]: Fields<Omit<Extract<KernelMessage, { readonly type: Type }>, "type">>;
} = {
  state: {
    status: oneOf(STATUSES),
    message: text,
    step: integer,
    points: list(object(POINT)),
    seed: orNull(integer),
    truncation: number,
    label: orNull(integer),
    classes: integer,
    ...SIZE,
    channels: integer,
    generator: text,
    model: orNull(text),
    jobs: list(object(JOB)),
    photo: flag,
    trouble: text,
    can_undo: flag,
    can_redo: flag,
    undo: text,
    redo: text,
    edit: integer,
    mp4: flag,
    edited: flag,
    rate: orNull(number),
    warning: text,
    settings,
    defaults: settings,
    length: integer,
    shown: orNull(integer),
  },
  frame: { seq: integer, step: integer, ...PICTURE, ack: flag },
  mask: SIZE,
  classes: { names: list(text) },
  models: { builtin: list(text), files: list(text) },
  course: {
    edit: integer,
    since: integer,
    steps: numbers,
    seconds: numbers,
    ids: list(numbers),
    distances: list(numbers),
  },
  thumbnails: { edit: integer, steps: numbers },
  before: { edit: integer, ...PICTURE },
  schema: { fields: list(object(FIELD)) },
  part: { view: text, at: integer },
  placing: {
    ...SIZE,
    shape: number,
    squares: list(numbers),
    note: text,
  },
  export: { kind: oneOf(KINDS), name: text, mime: text, text },
  notice: { text },
  pong: { sent: integer, withheld: flag },
};

/** What the kernel sent, or null for a type that this page does not know. Throws where a known type is malformed. */
export function parse(raw: unknown, buffers: readonly ArrayBufferView[]): KernelMessage | null {
  const { type } = object({ type: text })(raw) ?? {};
  if (type === undefined) throw bad("type", raw);
  if (!Object.hasOwn(MESSAGES, type)) return null;
  const fields: Fields<object> = MESSAGES[type as KernelMessage["type"]];
  const message = { type, ...object(fields)(raw) } as KernelMessage;
  if (!carries(message, buffers)) throw bad("buffers", raw);
  return message;
}

/** Whether there are as many buffers as such a message has. */
function carries(message: KernelMessage, { length, 0: first }: readonly ArrayBufferView[]): boolean {
  switch (message.type) {
    case "frame":
    case "before":
    case "placing":
      return length === 1;
    case "thumbnails":
      return length === message.steps.length;
    case "mask":
      return length === 0 || (length === 1 && first?.byteLength === message.width * message.height);
    default:
      return length < 2;
  }
}
