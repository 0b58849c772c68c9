export * from "./forst.cjs";
