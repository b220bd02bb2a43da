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
    error_message = "Regional, and protected."
  }
  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes
    error_message = "No node has a public address."
  }
  assert {
    condition = (
      !google_container_cluster.this.master_authorized_networks_config[0].gcp_public_cidrs_access_enabled
      && length(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks) == 0
    )
    error_message = "Nobody outside reaches the control plane."
  }
  assert {
    condition     = google_container_cluster.this.workload_identity_config[0].workload_pool == "my-project.svc.id.goog"
    error_message = "Workload Identity."
  }
  assert {
    condition     = google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "Network policies are enforced."
  }
  assert {
    condition     = google_container_cluster.this.enable_shielded_nodes && google_container_cluster.this.release_channel[0].channel == "REGULAR"
    error_message = "Shielded nodes, a release channel."
  }
  assert {
    condition = (
      !google_container_cluster.this.master_auth[0].client_certificate_config[0].issue_client_certificate
      && !google_container_cluster.this.enable_legacy_abac
      && google_container_cluster.this.anonymous_authentication_config[0].mode == "LIMITED"
    )
    error_message = "No basic authentication, certificates or anonymous requests."
  }
  assert {
    condition = (
      google_container_cluster.this.remove_default_node_pool
      && google_container_cluster.this.node_config[0].service_account == var.node_service_account
    )
    error_message = "Compute Engine's own account is never a node's."
  }
  assert {
    condition = (
      !google_container_cluster.this.cluster_autoscaling[0].enabled
      && google_container_cluster.this.cluster_autoscaling[0].autoscaling_profile == "OPTIMIZE_UTILIZATION"
    )
    error_message = "Pools are named, and nodes go soon."
  }
  assert {
    condition     = google_container_cluster.this.monitoring_config[0].managed_prometheus[0].enabled
    error_message = "Metrics of Argo are collected."
  }
  assert {
    condition     = contains(google_container_cluster.this.logging_config[0].enable_components, "WORKLOADS")
    error_message = "What steps log is kept."
  }
  assert {
    condition = (
      !google_container_cluster.this.rbac_binding_config[0].enable_insecure_binding_system_authenticated
      && !google_container_cluster.this.rbac_binding_config[0].enable_insecure_binding_system_unauthenticated
      && google_container_cluster.this.node_pool_defaults[0].node_config_defaults[0].insecure_kubelet_readonly_port_enabled == "FALSE"
    )
    error_message = "No rights for everybody, no open port of the kubelet."
  }
  assert {
    condition     = google_container_cluster.this.maintenance_policy[0].recurring_window[0].recurrence == "FREQ=WEEKLY;BYDAY=SA,SU"
    error_message = "Upgrades on weekends."
  }
  assert {
    condition     = length(google_container_cluster.this.database_encryption) == 0 && length(google_container_cluster.this.authenticator_groups_config) == 0
    error_message = "No key and no group unless named."
  }
}

run "authorized_networks" {
  command = plan
  variables { authorized_networks = { office = "203.0.113.0/24" } }

  assert {
    condition     = one(google_container_cluster.this.master_authorized_networks_config[0].cidr_blocks).cidr_block == "203.0.113.0/24"
    error_message = "The office reaches the control plane."
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
    error_message = "The control plane has no public address."
  }
}

run "auto_provisioning" {
  command = plan
  variables { auto_provisioning = { max_cpu = 200, max_memory_gib = 800 } }

  assert {
    condition = { for limit in google_container_cluster.this.cluster_autoscaling[0].resource_limits : limit.resource_type => limit.maximum } == {
      cpu = 200, memory = 800
    }
    error_message = "Limits of the whole cluster."
  }
  assert {
    condition     = google_container_cluster.this.cluster_autoscaling[0].auto_provisioning_defaults[0].service_account == var.node_service_account
    error_message = "Nodes that GKE makes run as the nodes' account."
  }
  assert {
    condition     = google_container_cluster.this.node_pool_auto_config[0].network_tags[0].tags == tolist(["refeed-closed"])
    error_message = "Nodes that GKE makes are closed."
  }
}

run "key_groups_zones_and_no_protection" {
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
    error_message = "Secrets are encrypted with the key."
  }
  assert {
    condition     = google_container_cluster.this.authenticator_groups_config[0].security_group == "gke-security-groups@example.com"
    error_message = "Groups in RoleBindings."
  }
  assert {
    condition     = google_container_cluster.this.node_locations == toset(["europe-west1-b", "europe-west1-c"])
    error_message = "Zones."
  }
  assert {
    condition     = !google_container_cluster.this.deletion_protection
    error_message = "No protection."
  }
}

run "refuses_a_zone" {
  command = plan
  variables { region = "europe-west1-b" }
  expect_failures = [var.region]
}

run "refuses_zones_elsewhere" {
  command = plan
  variables { zones = ["europe-west4-a"] }
  expect_failures = [var.zones]
}

run "refuses_everybody" {
  command = plan
  variables { authorized_networks = { all = "0.0.0.0/0" } }
  expect_failures = [var.authorized_networks]
}

run "refuses_an_address_for_a_range" {
  command = plan
  variables { authorized_networks = { me = "203.0.113.7" } }
  expect_failures = [var.authorized_networks]
}

run "refuses_public_ranges_without_a_public_endpoint" {
  command = plan
  variables {
    public_endpoint     = false
    authorized_networks = { office = "203.0.113.0/24" }
  }
  expect_failures = [var.public_endpoint]
}

run "refuses_no_channel" {
  command = plan
  variables { release_channel = "UNSPECIFIED" }
  expect_failures = [var.release_channel]
}

run "refuses_a_short_window" {
  command = plan
  variables { maintenance = { end_time = "2026-01-03T08:00:00Z" } }
  expect_failures = [var.maintenance]
}

run "refuses_too_small_limits" {
  command = plan
  variables { auto_provisioning = { max_cpu = 2, max_memory_gib = 4 } }
  expect_failures = [var.auto_provisioning]
}

run "refuses_compute_engines_account" {
  command = plan
  variables { node_service_account = "123456789-compute@developer.gserviceaccount.com" }
  expect_failures = [var.node_service_account]
}

run "refuses_a_group_of_another_name" {
  command = plan
  variables { security_group = "analysts@example.com" }
  expect_failures = [var.security_group]
}

run "refuses_what_is_no_key" {
  command = plan
  variables { secrets_key = "secrets" }
  expect_failures = [var.secrets_key]
}

run "refuses_a_name_in_capitals" {
  command = plan
  variables { name = "Refeed" }
  expect_failures = [var.name]
}
