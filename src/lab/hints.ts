// Command lines that are shown to people: copied into a shell in the clone they work as they are.

import type { LabPlan } from './topology.ts'

/** `bin/hawser lab VERB [--name NAME] REST`. */
export function labCommandLine(plan: Pick<LabPlan, 'name'>, verb: string, rest = ''): string {
  const words = ['bin/hawser lab', verb]
  if (plan.name !== defaultLabName) words.push('--name', plan.name)
  if (rest !== '') words.push(rest)
  return words.join(' ')
}

export const defaultLabName = 'default'
