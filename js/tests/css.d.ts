/** Stylesheets are imported by tests for their effect only. */
declare module "*.css";
