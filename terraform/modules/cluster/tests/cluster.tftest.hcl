mock_provider "google" {}

variables {
  gcp_project          = "my-project"
  region               = "europe-west1"
  network              = "projects/my-project/global/networks/refeed"
  subnetwork           = "projects/my-project/regions/europe-west1/subnetworks/refeed-nodes"
  secondary_ranges     = { pods = "pods", services = "services" }
  node_service_account = "refeed-node@my-project.iam.gserviceaccount.com"
  closed_tag           = "refeed-closed"
}

run "defaults" {
  command = plan

  assert {
    condition     = google_container_cluster.this.location == "europe-west1" && google_container_cluster.this.deletion_protection
    error_message = "The cluster must be regional and protected from deletion."
  }
  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "Nodes must not have public addresses."
  }
  assert {
    condition = (
      !google_container_cluster.this.master_authorized_networks_config[0].gcp_public_cidrs_access_enabled
      && length(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks) == 0
    )
    error_message = "The control plane must not be reachable from outside."
  }
  assert {
    condition     = google_container_cluster.this.workload_identity_config[0].workload_pool == "my-project.svc.id.goog"
    error_message = "Workload Identity must be on."
  }
  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "Network policies must be enforced."
  }
  assert {
    condition     = google_container_cluster.this.enable_shielded_nodes && google_container_cluster.this.release_channel[0].channel == "REGULAR"
    error_message = "Nodes must be shielded, and the cluster must follow a release channel."
  }
  assert {
    condition = (
      !google_container_cluster.this.master_auth[0].client_certificate_config[0].issue_client_certificate
      && !google_container_cluster.this.enable_legacy_abac
      && google_container_cluster.this.anonymous_authentication_config[0].mode == "LIMITED"
    )
    error_message = "Basic authentication, client certificates and anonymous requests must be off."
  }
  assert {
    condition = (
      google_container_cluster.this.remove_default_node_pool
      && google_container_cluster.this.node_config[0].service_account == var.node_service_account
    )
    error_message = "Nodes must not run as Compute Engine's default account."
  }
  assert {
    condition = (
      !google_container_cluster.this.cluster_autoscaling[0].enabled
      && google_container_cluster.this.cluster_autoscaling[0].autoscaling_profile == "OPTIMIZE_UTILIZATION"
    )
    error_message = "The default pool must be removed, and the autoscaler must optimize utilization."
  }
  assert {
    condition     = google_container_cluster.this.monitoring_config[0].managed_prometheus[0].enabled
    error_message = "Managed Prometheus must collect Argo's metrics."
  }
  assert {
    condition     = contains(google_container_cluster.this.logging_config[0].enable_components, "WORKLOADS")
    error_message = "Workload logs must be collected."
  }
  assert {
    condition = (
      !google_container_cluster.this.rbac_binding_config[0].enable_insecure_binding_system_authenticated
      && !google_container_cluster.this.rbac_binding_config[0].enable_insecure_binding_system_unauthenticated
      && google_container_cluster.this.node_pool_defaults[0].node_config_defaults[0].insecure_kubelet_readonly_port_enabled == "FALSE"
    )
    error_message = "Role bindings for all users and the kubelet's read-only port must be off."
  }
  assert {
    condition     = google_container_cluster.this.maintenance_policy[0].recurring_window[0].recurrence == "FREQ=WEEKLY;BYDAY=SA,SU"
    error_message = "The maintenance window must be on weekends."
  }
  assert {
    condition     = length(google_container_cluster.this.database_encryption) == 0 && length(google_container_cluster.this.authenticator_groups_config) == 0
    error_message = "No encryption key or security group must be set by default."
  }
}

run "authorized_networks" {
  command = plan
  variables { authorized_networks = { office = "203.0.113.0/24" } }

  assert {
    condition     = one(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks).cidr_block == "203.0.113.0/24"
    error_message = "The office network must reach the control plane."
  }
}

run "no_public_endpoint" {
  command = plan
  variables {
    public_endpoint     = false
    authorized_networks = { vpn = "10.200.0.0/16" }
  }

  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_endpoint
    error_message = "The control plane must not have a public address."
  }
}

run "auto_provisioning" {
  command = plan
  variables { auto_provisioning = { max_cpu = 200, max_memory_gib = 800 } }

  assert {
    condition = { for limit in google_container_cluster.this.cluster_autoscaling[0].resource_limits : limit.resource_type => limit.maximum } == {
      cpu = 200, memory = 800
    }
    error_message = "Auto-provisioning must have the given limits."
  }
  assert {
    condition     = google_container_cluster.this.cluster_autoscaling[0].auto_provisioning_defaults[0].service_account == var.node_service_account
    error_message = "Auto-provisioned nodes must run as the node service account."
  }
  assert {
    condition     = google_container_cluster.this.node_pool_auto_config[0].network_tags[0].tags == tolist(["refeed-closed"])
    error_message = "Auto-provisioned nodes must have the closed tag."
  }
}

run "key_groups_zones_without_protection" {
  command = plan
  variables {
    secrets_key         = "projects/my-project/locations/europe-west1/keyRings/refeed/cryptoKeys/secrets"
    security_group      = "gke-security-groups@example.com"
    zones               = ["europe-west1-b", "europe-west1-c"]
    deletion_protection = false
  }

  assert {
    condition = (
      google_container_cluster.this.database_encryption[0].state == "ENCRYPTED"
      && google_container_cluster.this.database_encryption[0].key_name == var.secrets_key
    )
    error_message = "The key must encrypt Secrets."
  }
  assert {
    condition     = google_container_cluster.this.authenticator_groups_config[0].security_group == "gke-security-groups@example.com"
    error_message = "RoleBindings must be able to name groups."
  }
  assert {
    condition     = google_container_cluster.this.node_locations == toset(["europe-west1-b", "europe-west1-c"])
    error_message = "Nodes must be in the given zones."
  }
  assert {
    condition     = !google_container_cluster.this.deletion_protection
    error_message = "Deletion protection must be off."
  }
}

run "rejects_zone" {
  command = plan
  variables { region = "europe-west1-b" }
  expect_failures = [var.region]
}

run "rejects_zones_of_another_region" {
  command = plan
  variables { zones = ["europe-west4-a"] }
  expect_failures = [var.zones]
}

run "rejects_open_network" {
  command = plan
  variables { authorized_networks = { all = "0.0.0.0/0" } }
  expect_failures = [var.authorized_networks]
}

run "rejects_address_without_prefix" {
  command = plan
  variables { authorized_networks = { me = "203.0.113.7" } }
  expect_failures = [var.authorized_networks]
}

run "rejects_public_range_without_public_endpoint" {
  command = plan
  variables {
    public_endpoint     = false
    authorized_networks = { office = "203.0.113.0/24" }
  }
  expect_failures = [var.public_endpoint]
}

run "rejects_unknown_channel" {
  command = plan
  variables { release_channel = "UNSPECIFIED" }
  expect_failures = [var.release_channel]
}

run "rejects_short_window" {
  command = plan
  variables { maintenance = { end_time = "2026-01-03T08:00:00Z" } }
  expect_failures = [var.maintenance]
}

run "rejects_small_limits" {
  command = plan
  variables { auto_provisioning = { max_cpu = 2, max_memory_gib = 4 } }
  expect_failures = [var.auto_provisioning]
}

run "rejects_compute_engine_account" {
  command = plan
  variables { node_service_account = "123456789-compute@developer.gserviceaccount.com" }
  expect_failures = [var.node_service_account]
}

run "rejects_other_security_group" {
  command = plan
  variables { security_group = "analysts@example.com" }
  expect_failures = [var.security_group]
}

run "rejects_malformed_key" {
  command = plan
  variables { secrets_key = "secrets" }
  expect_failures = [var.secrets_key]
}

run "rejects_upper_case_name" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
