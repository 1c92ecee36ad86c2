/**
 * MGMT's own figures for Prometheus.
 *
 * @module
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** The figures. */
export interface MgmtMetrics {
  readonly registry: Registry;
  readonly signIns: Counter<"result">;
  readonly polls: Counter<"result">;
  readonly pollSeconds: Histogram;
  /** Open streams of events. */
  readonly watchers: Gauge;
}

/** Figures in a registry of their own. */
export function createMetrics(): MgmtMetrics {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    signIns: new Counter({
      name: "powerflex_mgmt_sign_ins_total",
      help: "Sign-ins by result.",
      labelNames: ["result"],
      registers,
    }),
    polls: new Counter({
      name: "powerflex_mgmt_polls_total",
      help: "Polls of the MDM by result.",
      labelNames: ["result"],
      registers,
    }),
    pollSeconds: new Histogram({
      name: "powerflex_mgmt_poll_seconds",
      help: "Time that a poll of the MDM took.",
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3],
      registers,
    }),
    watchers: new Gauge({ name: "powerflex_mgmt_watchers", help: "Pages that keep themselves up to date.", registers }),
  };
}
