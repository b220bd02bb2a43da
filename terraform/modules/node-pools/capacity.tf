# Compute the resources that a node has left for pods. A class whose pods fit no node then fails in the plan, instead
# of leaving pods pending forever. Formulas: https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes

locals {
  # GiB of memory per vCPU of Google's machine series. Other machine types (custom, GPU) are not checked.
  gib_per_cpu = {
    "c2-standard"  = 4, "c2d-highcpu" = 2, "c2d-standard" = 4, "c2d-highmem" = 8
    "c3-highcpu"   = 2, "c3-standard" = 4, "c3-highmem" = 8
    "c3d-highcpu"  = 2, "c3d-standard" = 4, "c3d-highmem" = 8
    "c4-highcpu"   = 2, "c4-standard" = 3.75, "c4-highmem" = 7.75
    "e2-highcpu"   = 1, "e2-standard" = 4, "e2-highmem" = 8
    "n1-highcpu"   = 0.9, "n1-standard" = 3.75, "n1-highmem" = 6.5
    "n2-highcpu"   = 1, "n2-standard" = 4, "n2-highmem" = 8
    "n2d-highcpu"  = 1, "n2d-standard" = 4, "n2d-highmem" = 8
    "n4-highcpu"   = 2, "n4-standard" = 4, "n4-highmem" = 8
    "t2d-standard" = 4
  }

  machines = {
    for name, class in var.classes : name => try({
      cores      = tonumber(split("-", class.machine_type)[2])
      memory_gib = tonumber(split("-", class.machine_type)[2]) * local.gib_per_cpu[join("-", slice(split("-", class.machine_type), 0, 2))]
    }, null)
  }

  # The requests of GKE's system pods on each node (logging, metrics, metadata server, Dataplane V2) and of Argo's
  # executor in each pod, and the 2 % of memory that the kernel uses.
  system = { cores = 0.5, memory_mib = 1024, kernel = 0.02 }

  usable = {
    for name, machine in local.machines : name => machine == null ? null : {
      cores = machine.cores - local.system.cores - sum([
        0.06 * min(1, machine.cores),
        0.01 * max(0, min(1, machine.cores - 1)),
        0.005 * max(0, min(2, machine.cores - 2)),
        0.0025 * max(0, machine.cores - 4),
      ])
      memory_mib = 1024 * (machine.memory_gib * (1 - local.system.kernel) - sum([
        0.25 * min(4, machine.memory_gib),
        0.20 * max(0, min(4, machine.memory_gib - 4)),
        0.10 * max(0, min(8, machine.memory_gib - 8)),
        0.06 * max(0, min(112, machine.memory_gib - 16)),
        0.02 * max(0, machine.memory_gib - 128),
      ])) - 100 - local.system.memory_mib
    }
  }

  # MiB of a boot disk that pods can use: without GKE's reservation and the kubelet's eviction threshold of 10 %.
  usable_disk_mib = {
    for name, class in var.classes : name => 1024 * (
      0.9 * class.disk_gb - min(0.5 * class.disk_gb, 6 + 0.35 * class.disk_gb, 100)
    )
  }

  disk_mib = {
    for name, class in var.classes : name => try(
      tonumber(regex("^[0-9]+", class.ephemeral_storage)) * (endswith(class.ephemeral_storage, "Gi") ? 1024 : 1), 0
    )
  }

  cores = {
    for name, class in var.classes : name => try(
      endswith(class.cpu, "m") ? tonumber(trimsuffix(class.cpu, "m")) / 1000 : tonumber(class.cpu), 0
    )
  }

  memory_mib = {
    for name, class in var.classes : name => try(
      tonumber(regex("^[0-9]+", class.memory)) * (endswith(class.memory, "Gi") ? 1024 : 1), 0
    )
  }
}
