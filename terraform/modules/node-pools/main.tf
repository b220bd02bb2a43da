locals {
  class_label = "refeed/class"
  # GKE adds this label to spot nodes. It adds the taint only to auto-provisioned pools.
  spot_label   = "cloud.google.com/gke-spot"
  gpu_resource = "nvidia.com/gpu"
  scopes       = ["https://www.googleapis.com/auth/cloud-platform"] # the roles of the node service account limit access

  # Auto-provisioning has no limits for GPUs, so classes with GPUs always have pools.
  pooled = { for name, class in var.classes : name => class if class.gpu != null || !var.auto_provisioning }
  pools = merge(
    { for name, class in local.pooled : name => { class = name, spot = false } if class.on_demand },
    { for name, class in local.pooled : "${name}-spot" => { class = name, spot = true } if class.spot },
  )
}

resource "google_container_node_pool" "class" {
  for_each = local.pools

  project            = var.gcp_project
  location           = var.region
  cluster            = var.cluster
  name               = each.key
  initial_node_count = 0

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.classes[each.value.class].max_nodes
    location_policy      = "ANY" # use any zone with capacity: training pods do not need balanced zones
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type    = var.classes[each.value.class].machine_type
    spot            = each.value.spot
    disk_size_gb    = var.classes[each.value.class].disk_gb
    disk_type       = "pd-balanced"
    image_type      = "COS_CONTAINERD"
    service_account = var.node_service_account
    oauth_scopes    = local.scopes
    tags            = var.classes[each.value.class].internet ? [] : [var.closed_tag]
    labels          = { (local.class_label) = each.value.class }
    metadata        = { disable-legacy-endpoints = "true" }

    # GKE adds the taint nvidia.com/gpu=present.
    dynamic "guest_accelerator" {
      for_each = var.classes[each.value.class].gpu == null ? [] : [var.classes[each.value.class].gpu]

      content {
        type  = guest_accelerator.value.type
        count = guest_accelerator.value.count

        gpu_driver_installation_config {
          gpu_driver_version = guest_accelerator.value.driver
        }
      }
    }

    # Keep other pods away, so that the pool can scale to zero.
    taint {
      key    = local.class_label
      value  = each.value.class
      effect = "NO_SCHEDULE"
    }

    dynamic "taint" {
      for_each = each.value.spot ? [local.spot_label] : []

      content {
        key    = taint.value
        value  = "true"
        effect = "NO_SCHEDULE"
      }
    }

    gcfs_config { # image streaming
      enabled = true
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config { # pods get tokens of their own account, never of the node's
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]

    precondition {
      condition = local.usable[each.value.class] == null || try(
        local.cores[each.value.class] <= local.usable[each.value.class].cores
        && local.memory_mib[each.value.class] <= local.usable[each.value.class].memory_mib, true
      )
      error_message = format(
        "A pod of class %s (cpu %s, memory %s) does not fit on %s, which has cpu %.2f and memory %dMi available. Reduce the class's cpu or memory, or choose a larger machine_type.",
        each.value.class, var.classes[each.value.class].cpu, var.classes[each.value.class].memory, var.classes[each.value.class].machine_type,
        try(local.usable[each.value.class].cores, 0), try(floor(local.usable[each.value.class].memory_mib), 0),
      )
    }

    precondition {
      condition = local.disk_mib[each.value.class] <= local.usable_disk_mib[each.value.class]
      error_message = format(
        "A pod of class %s (ephemeral_storage %s) does not fit on a disk of %d GB, of which pods can use %dMi. Reduce ephemeral_storage, or raise disk_gb.",
        each.value.class, var.classes[each.value.class].ephemeral_storage, var.classes[each.value.class].disk_gb,
        floor(local.usable_disk_mib[each.value.class]),
      )
    }
  }
}

resource "google_container_node_pool" "platform" {
  project            = var.gcp_project
  location           = var.region
  cluster            = var.cluster
  name               = "platform"
  initial_node_count = 1
  max_pods_per_node  = 64 # Argo CD, Argo and GKE's system pods are many and small

  autoscaling {
    total_min_node_count = var.platform.min_nodes
    total_max_node_count = var.platform.max_nodes
    location_policy      = "BALANCED"
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  upgrade_settings {
    strategy        = "SURGE"
    max_surge       = 1
    max_unavailable = 0
  }

  network_config {
    enable_private_nodes = true
  }

  node_config {
    machine_type    = var.platform.machine_type
    disk_size_gb    = var.platform.disk_gb
    disk_type       = "pd-balanced"
    image_type      = "COS_CONTAINERD"
    service_account = var.node_service_account
    oauth_scopes    = local.scopes
    labels          = { "refeed/pool" = "platform" }
    metadata        = { disable-legacy-endpoints = "true" }

    gcfs_config {
      enabled = true
    }

    kubelet_config {
      insecure_kubelet_readonly_port_enabled = "FALSE"
    }

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  lifecycle {
    ignore_changes = [initial_node_count]
  }
}
