// What charts.js uses of uPlot, for the check of types; the library ships no types of its ES module.
declare const uPlot: any;
export default uPlot;
