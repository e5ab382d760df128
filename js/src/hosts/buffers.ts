/** Binary data for hosts of two minds: some send a view's whole `.buffer`, others (Colab) read it as the view it is. */

/** A copy that is the same to both. */
export function tight(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice() as Uint8Array<ArrayBuffer>;
}
