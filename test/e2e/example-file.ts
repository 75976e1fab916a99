/** The configuration file that the original ServiceWatcher documents, as it stands there but for the servers. */
export function exampleFile(quorum: string): string {
  return `---
zookeeper:
  quorum: ${quorum}
  timings:
    loop_tick: 0.5
    failed_loop_tick: 1.0
    partitioner_boundary: 1.0
    partitioner_reaction: 0.2
services:
  - name: dummy_global
    enabled: false
    type: global
  - name: dummy_shared
    prestart: |
      #!/bin/bash
      echo "dummy_multi@3 is running on {instance:dummy_multi@3}"
    count: 2
  - name: dummy_multi
    force:
      '1': worker2
    instances:
      '1': 1
      '2': 2
      '3': 3
`;
}
