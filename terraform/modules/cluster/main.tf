resource "google_container_cluster" "this" {
  project             = var.gcp_project
  location            = var.region
  node_locations      = length(var.zones) > 0 ? var.zones : null
  name                = var.name
  description         = "Refeed: Argo Workflows, and training pods by resource class."
  deletion_protection = var.deletion_protection

  # Node pools are separate resources, so that a change to a pool does not touch the cluster. GKE requires a
  # default pool at creation, which is removed.
  remove_default_node_pool = true
  initial_node_count       = 1

  node_config { # the default pool never runs as Compute Engine's service account, not even until it is removed
    service_account = var.node_service_account
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }

  # --- network
  network           = var.network
  subnetwork        = var.subnetwork
  networking_mode   = "VPC_NATIVE"
  datapath_provider = "ADVANCED_DATAPATH" # Dataplane V2, which enforces the projects' network policies
  # Nodes run a few large pods. With GKE's default of 110 pods, each node would reserve a /24.
  default_max_pods_per_node = 32

  ip_allocation_policy {
    cluster_secondary_range_name  = var.secondary_ranges.pods
    services_secondary_range_name = var.secondary_ranges.services
  }

  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = !var.public_endpoint
  }

  # Never omit this block: without it any address can reach the control plane.
  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false # Google Cloud's addresses include those of other customers

    dynamic "cidr_blocks" {
      for_each = var.authorized_networks

      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }

  # --- authentication
  enable_legacy_abac = false

  master_auth {
    client_certificate_config {
      issue_client_certificate = false # a client certificate cannot be revoked
    }
  }

  anonymous_authentication_config {
    mode = "LIMITED" # health checks only
  }

  rbac_binding_config { # reject role bindings for all users
    enable_insecure_binding_system_authenticated   = false
    enable_insecure_binding_system_unauthenticated = false
  }

  workload_identity_config {
    workload_pool = "${var.gcp_project}.svc.id.goog"
  }

  dynamic "authenticator_groups_config" {
    for_each = var.security_group[*]

    content {
      security_group = authenticator_groups_config.value
    }
  }

  # --- nodes
  enable_shielded_nodes = true

  node_pool_defaults {
    node_config_defaults {
      insecure_kubelet_readonly_port_enabled = "FALSE"

      gcfs_config { # image streaming: a pod starts before its image is fully pulled
        enabled = true
      }
    }
  }

  cluster_autoscaling {
    enabled             = var.auto_provisioning != null
    autoscaling_profile = "OPTIMIZE_UTILIZATION" # remove nodes soon after their last training pod

    dynamic "resource_limits" {
      for_each = var.auto_provisioning == null ? {} : {
        cpu    = var.auto_provisioning.max_cpu
        memory = var.auto_provisioning.max_memory_gib
      }

      content {
        resource_type = resource_limits.key
        minimum       = 0
        maximum       = resource_limits.value
      }
    }

    dynamic "auto_provisioning_defaults" {
      for_each = var.auto_provisioning[*]

      content {
        service_account = var.node_service_account
        oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
        image_type      = "COS_CONTAINERD"

        management {
          auto_repair  = true
          auto_upgrade = true
        }

        shielded_instance_config {
          enable_secure_boot          = true
          enable_integrity_monitoring = true
        }
      }
    }
  }

  dynamic "node_pool_auto_config" {
    for_each = var.auto_provisioning[*]

    content {
      network_tags {
        tags = [var.closed_tag]
      }

      node_kubelet_config {
        insecure_kubelet_readonly_port_enabled = "FALSE"
      }
    }
  }

  # --- versions
  release_channel {
    channel = var.release_channel
  }

  maintenance_policy {
    recurring_window {
      start_time = var.maintenance.start_time
      end_time   = var.maintenance.end_time
      recurrence = var.maintenance.recurrence
    }
  }

  # --- secrets, logs and metrics
  dynamic "database_encryption" {
    for_each = var.secrets_key[*]

    content {
      state    = "ENCRYPTED"
      key_name = database_encryption.value
    }
  }

  logging_config {
    enable_components = ["SYSTEM_COMPONENTS", "WORKLOADS"] # alerts match the exit handler's log lines
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]

    managed_prometheus { # collects argo_workflows_*
      enabled = true
    }
  }

  cost_management_config { # costs by namespace: one namespace per Refeed project
    enabled = true
  }

  security_posture_config {
    mode = "BASIC"
  }

  lifecycle {
    ignore_changes = [node_config, initial_node_count] # the removed default pool
  }
}
