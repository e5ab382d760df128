declare module "*.css" {
  const text: string;
  export default text;
}

declare module "*.svg" {
  const shapes: string;
  export default shapes;
}
