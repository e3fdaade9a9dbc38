// The parts of ECharts that service/figures/echarts.py and echarts_series.py use, as `echarts`.
import { use } from "echarts/core";
import { BarChart, HeatmapChart, LineChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  TitleComponent,
  ToolboxComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([
  AriaComponent, BarChart, GridComponent, HeatmapChart, LegendComponent, LineChart,
  MarkAreaComponent, MarkLineComponent, ScatterChart, SVGRenderer, TitleComponent,
  ToolboxComponent, TooltipComponent, VisualMapContinuousComponent,
]);

export { getInstanceByDom, init, version } from "echarts/core";
