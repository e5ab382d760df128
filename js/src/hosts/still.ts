/** nbviewer and other pages without a kernel: the picture that was left in the notebook, instead of a dead editor. */
import { make } from "../dom.ts";
import { blobOf } from "../save.ts";
import { STILL } from "../status.ts";

export class StillPicture {
  readonly element = make("canvas", { class: "dg-still", role: "img", named: STILL });
  /** Whether that picture is there. */
  left = false;

  /** A JPEG, or a PNG where it has alpha: browsers tell by its first bytes. */
  async show(data: ArrayBufferView): Promise<void> {
    const picture = await createImageBitmap(blobOf(data, "jpeg")).catch(() => null);
    if (!picture) return;
    Object.assign(this.element, { width: picture.width, height: picture.height });
    this.element.getContext("2d")?.drawImage(picture, 0, 0);
    picture.close();
    this.left = true;
  }
}
