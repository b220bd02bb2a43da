mock_provider "google" {}

variables {
  gcp_project          = "my-project"
  region               = "europe-west1"
  cluster              = "refeed"
  node_service_account = "refeed-node@my-project.iam.gserviceaccount.com"
  closed_tag           = "refeed-closed"
  classes = {
    small  = { machine_type = "e2-standard-8", cpu = "2", memory = "8Gi" }
    medium = { machine_type = "e2-standard-8", cpu = "7", memory = "26Gi", on_demand = false, max_nodes = 7 }
    large  = { machine_type = "e2-highmem-16", cpu = "15", memory = "110Gi", spot = false, disk_gb = 200, internet = true }
  }
}

run "defaults" {
  command = plan

  assert {
    condition     = toset(keys(google_container_node_pool.class)) == toset(["small", "small-spot", "medium-spot", "large"])
    error_message = "Each class must have a pool per node type."
  }
  assert {
    condition = alltrue([
      for pool in google_container_node_pool.class :
      pool.autoscaling[0].total_min_node_count == 0 && pool.initial_node_count == 0
    ])
    error_message = "Pools of classes must scale to zero."
  }
  assert {
    condition = (
      google_container_node_pool.class["medium-spot"].autoscaling[0].total_max_node_count == 7
      && google_container_node_pool.class["small"].autoscaling[0].total_max_node_count == 20
    )
    error_message = "Pools must have the maximum size of their class."
  }
  assert {
    condition = alltrue([
      for pool in concat(values(google_container_node_pool.class), [google_container_node_pool.platform]) :
      pool.network_config[0].enable_private_nodes
      && pool.node_config[0].workload_metadata_config[0].mode == "GKE_METADATA"
      && pool.node_config[0].service_account == var.node_service_account
      && pool.node_config[0].shielded_instance_config[0].enable_secure_boot
      && pool.node_config[0].gcfs_config[0].enabled
      && pool.node_config[0].kubelet_config[0].insecure_kubelet_readonly_port_enabled == "FALSE"
      && pool.management[0].auto_repair && pool.management[0].auto_upgrade
    ])
    error_message = "Nodes must be private, shielded, upgraded automatically and stream images, and pods must get only their own account."
  }
  assert {
    condition = alltrue([
      for name, pool in google_container_node_pool.class :
      pool.node_config[0].labels["refeed/class"] == trimsuffix(name, "-spot")
      && pool.node_config[0].spot == endswith(name, "-spot")
      && [for taint in pool.node_config[0].taint : "${taint.key}=${taint.value}:${taint.effect}"] == concat(
        ["refeed/class=${trimsuffix(name, "-spot")}:NO_SCHEDULE"],
        endswith(name, "-spot") ? ["cloud.google.com/gke-spot=true:NO_SCHEDULE"] : [],
      )
    ])
    error_message = "Nodes must have the labels and taints of their class, and spot nodes the spot taint."
  }
  assert {
    condition = (
      google_container_node_pool.class["small-spot"].node_config[0].tags == tolist(["refeed-closed"])
      && length(google_container_node_pool.class["large"].node_config[0].tags) == 0
    )
    error_message = "Nodes must be closed unless the class has internet."
  }
  assert {
    condition     = google_container_node_pool.class["large"].node_config[0].disk_size_gb == 200
    error_message = "Nodes must have the disk size of their class."
  }
  assert {
    condition = (
      google_container_node_pool.platform.autoscaling[0].total_min_node_count == 1
      && length(google_container_node_pool.platform.node_config[0].taint) == 0
      && !coalesce(google_container_node_pool.platform.node_config[0].spot, false)
    )
    error_message = "The platform pool must have at least one node, no taints and no spot nodes."
  }
  assert {
    condition     = output.classes[*].name == ["small", "medium", "large"]
    error_message = "Classes must be ordered by memory."
  }
  assert {
    condition = jsonencode(output.classes[0].class) == jsonencode({
      cpu           = "2"
      memory        = "8Gi"
      node_selector = { "refeed/class" = "small" }

      ephemeral_storage = "10Gi"
      tolerations       = [{ key = "refeed/class", value = "small" }]
      spot = {
        node_selector = { "cloud.google.com/gke-spot" = "true" }
        tolerations   = [{ key = "cloud.google.com/gke-spot", value = "true" }]
      }
    })
    error_message = "A class with both node types must have a spot selector and tolerations."
  }
  assert {
    condition = (
      jsonencode(output.classes[1].class.node_selector) == jsonencode({ "refeed/class" = "medium", "cloud.google.com/gke-spot" = "true" })
      && !can(output.classes[1].class.spot)
    )
    error_message = "All pods of a class without on_demand must run on spot nodes."
  }
  assert {
    condition     = !can(output.classes[2].class.spot) && jsonencode(output.classes[2].class.node_selector) == jsonencode({ "refeed/class" = "large" })
    error_message = "A class without spot nodes must have no spot settings."
  }
  assert { # computed by hand from GKE's formulas: 32 x 0.98 - (1 + 0.8 + 0.8 + 0.96) = 27.8 GiB, - 1,124 MiB
    condition     = floor(local.usable["small"].memory_mib) == 27343 && format("%.2f", local.usable["small"].cores) == "7.41"
    error_message = "The usable resources of e2-standard-8 are ${jsonencode(local.usable["small"])}."
  }
  assert { # computed by hand: 100 - 10 for eviction - (6 + 35) reserved = 49 GiB
    condition     = floor(local.usable_disk_mib["small"]) == 50176 && output.classes[0].class.ephemeral_storage == "10Gi"
    error_message = "Pods can use ${local.usable_disk_mib["small"]} MiB of a disk of 100 GB."
  }
}

run "auto_provisioning" {
  command = plan
  variables { auto_provisioning = true }

  assert {
    condition     = length(google_container_node_pool.class) == 0
    error_message = "Only the platform pool must be created."
  }
  assert {
    condition     = jsonencode(output.classes[0].class.node_selector) == jsonencode({ "refeed/class" = "small" }) && jsonencode(output.classes[0].class.spot.node_selector) == jsonencode({ "cloud.google.com/gke-spot" = "true" })
    error_message = "Pods must request the same labels."
  }
}

run "gpu" {
  command = plan

  variables {
    auto_provisioning = true
    classes = {
      small = { machine_type = "e2-standard-8", cpu = "2", memory = "16Gi" }
      gpu   = { machine_type = "g2-standard-8", cpu = "6", memory = "16Gi", gpu = { type = "nvidia-l4" } }
    }
  }

  assert {
    condition     = toset(keys(google_container_node_pool.class)) == toset(["gpu", "gpu-spot"])
    error_message = "A class with GPUs must have pools with auto-provisioning too."
  }
  assert {
    condition = alltrue([
      for pool in google_container_node_pool.class :
      pool.node_config[0].guest_accelerator[0].type == "nvidia-l4"
      && pool.node_config[0].guest_accelerator[0].count == 1
      && pool.node_config[0].guest_accelerator[0].gpu_driver_installation_config[0].gpu_driver_version == "DEFAULT"
    ])
    error_message = "Nodes must have the GPUs of their class, and GKE must install the driver."
  }
  assert {
    condition = (
      { for each in output.classes : each.name => each.class }["gpu"].resources == { "nvidia.com/gpu" = 1 }
      && contains([for each in { for each in output.classes : each.name => each.class }["gpu"].tolerations : "${each.key}=${each.value}"], "nvidia.com/gpu=present")
      && !can({ for each in output.classes : each.name => each.class }["small"].resources)
    )
    error_message = "Pods of the class must request the GPUs and tolerate the taint that GKE adds."
  }
}

run "rejects_gpu_without_count" {
  command = plan
  variables { classes = { gpu = { machine_type = "g2-standard-8", cpu = "6", memory = "16Gi", gpu = { type = "nvidia-l4", count = 0 } } } }
  expect_failures = [var.classes]
}

run "unknown_machine_types" {
  command = plan
  variables {
    classes = { gpu = { machine_type = "a2-highgpu-1g", cpu = "11", memory = "80Gi" }, own = { machine_type = "n2-custom-6-20480", cpu = "5500m", memory = "15Gi" } }
  }

  assert {
    condition     = local.usable["gpu"] == null && local.usable["own"] == null && length(google_container_node_pool.class) == 4
    error_message = "Unknown machine types must not be checked."
  }
}

run "platform" {
  command = plan
  variables { platform = { min_nodes = 2, max_nodes = 5, machine_type = "e2-standard-8" } }

  assert {
    condition = (
      google_container_node_pool.platform.autoscaling[0].total_min_node_count == 2
      && google_container_node_pool.platform.autoscaling[0].total_max_node_count == 5
      && google_container_node_pool.platform.node_config[0].machine_type == "e2-standard-8"
    )
    error_message = "The platform pool must have the given settings."
  }
}

run "rejects_pod_larger_than_node" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "4", memory = "8Gi", spot = false } } }
  expect_failures = [google_container_node_pool.class["small"]]
}

run "rejects_pod_with_all_memory" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "3", memory = "16Gi", spot = false } } }
  expect_failures = [google_container_node_pool.class["small"]]
}

run "rejects_pod_larger_than_disk" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "8Gi", spot = false, ephemeral_storage = "50Gi" } } }
  expect_failures = [google_container_node_pool.class["small"]]
}

run "rejects_disk_without_unit" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "8Gi", ephemeral_storage = "10" } } }
  expect_failures = [var.classes]
}

run "rejects_equal_memory" {
  command = plan
  variables {
    classes = {
      one = { machine_type = "e2-standard-4", cpu = "1", memory = "2Gi" }
      two = { machine_type = "e2-standard-4", cpu = "2", memory = "2048Mi" }
    }
  }
  expect_failures = [var.classes]
}

run "rejects_class_without_nodes" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "4Gi", spot = false, on_demand = false } } }
  expect_failures = [var.classes]
}

run "rejects_max_nodes_zero" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "4Gi", max_nodes = 0 } } }
  expect_failures = [var.classes]
}

run "rejects_spot_suffix_in_class_name" {
  command = plan
  variables { classes = { small-spot = { machine_type = "e2-standard-4", cpu = "2", memory = "4Gi" } } }
  expect_failures = [var.classes]
}

run "rejects_memory_in_bytes" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "4G" } } }
  expect_failures = [var.classes]
}

run "rejects_cpu_in_words" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "two", memory = "4Gi" } } }
  expect_failures = [var.classes]
}

run "rejects_small_disk" {
  command = plan
  variables { classes = { small = { machine_type = "e2-standard-4", cpu = "2", memory = "4Gi", disk_gb = 10 } } }
  expect_failures = [var.classes]
}

run "rejects_empty_classes" {
  command = plan
  variables { classes = {} }
  expect_failures = [var.classes]
}

run "rejects_platform_without_nodes" {
  command = plan
  variables { platform = { min_nodes = 0 } }
  expect_failures = [var.platform]
}

run "rejects_small_platform_disk" {
  command = plan
  variables { platform = { disk_gb = 10 } }
  expect_failures = [var.platform]
}

run "rejects_compute_engine_account" {
  command = plan
  variables { node_service_account = "123456789-compute@developer.gserviceaccount.com" }
  expect_failures = [var.node_service_account]
}
