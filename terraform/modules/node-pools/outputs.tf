locals {
  by_memory = [
    for sorted in sort([for name, mib in local.memory_mib : format("%012d %s", mib, name)]) : split(" ", sorted)[1]
  ]
  own = {
    for name in keys(var.classes) : name => {
      node_selector = { (local.class_label) = name }
      tolerations = concat(
        [{ key = local.class_label, value = name }],
        [for gpu in var.classes[name].gpu[*] : { key = local.gpu_resource, value = "present" }],
      )
    }
  }
  spot = {
    node_selector = { (local.spot_label) = "true" }
    tolerations   = [{ key = local.spot_label, value = "true" }]
  }
}

output "classes" {
  description = <<-EOT
    The resource classes for the installation file, as a list ordered by memory, smallest first: `name`, and `class`
    with cpu, memory, disk, GPUs, node selector and tolerations. Pods of a class without `on_demand` always run on spot nodes.
  EOT
  value = [
    for name in local.by_memory : {
      name = name
      class = merge(
        {
          cpu               = var.classes[name].cpu
          memory            = var.classes[name].memory
          ephemeral_storage = var.classes[name].ephemeral_storage
        },
        { for gpu in var.classes[name].gpu[*] : "resources" => { (local.gpu_resource) = gpu.count } },
        var.classes[name].on_demand ? local.own[name] : {
          node_selector = merge(local.own[name].node_selector, local.spot.node_selector)
          tolerations   = concat(local.own[name].tolerations, local.spot.tolerations)
        },
        { for key, place in { spot = local.spot } : key => place if var.classes[name].spot && var.classes[name].on_demand },
      )
    }
  ]
}
