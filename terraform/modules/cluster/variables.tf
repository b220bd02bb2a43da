variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the cluster. Use the same project in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region of the cluster and its subnetwork. The control plane of a regional cluster survives the loss of a zone."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as europe-west1, not a zone: a zonal cluster loses its control plane with its zone."
  }
}

variable "zones" {
  type        = set(string)
  description = "The zones of `region` for nodes, such as europe-west1-b. Empty lets Google choose three. More zones make spot machines easier to obtain."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, "${var.region}-")])
    error_message = "zones must belong to region, such as europe-west1-b to europe-west1."
  }
}

variable "name" {
  type        = string
  description = "The name of the cluster."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$", var.name))
    error_message = "name must consist of at most 40 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "network" {
  type        = string
  description = "The ID of the network: `network` of the network module."
  nullable    = false
}

variable "subnetwork" {
  type        = string
  description = "The ID of the nodes' subnetwork: `subnetwork` of the network module."
  nullable    = false
}

variable "secondary_ranges" {
  type = object({
    pods     = string
    services = string
  })
  description = "The names of the subnetwork's secondary ranges: `secondary_ranges` of the network module."
  nullable    = false
}

variable "node_service_account" {
  type        = string
  description = "The email of the service account that nodes run as: `node` of the identities module. Do not use Compute Engine's default account, which can edit the whole project."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.-]+[.]iam[.]gserviceaccount[.]com$", var.node_service_account))
    error_message = "node_service_account must be an account created for nodes (...@PROJECT.iam.gserviceaccount.com), not Compute Engine's default account."
  }
}

variable "closed_tag" {
  type        = string
  description = "The network tag of nodes that node auto-provisioning creates: `closed_tag` of the network module."
  nullable    = false
}

variable "authorized_networks" {
  type        = map(string)
  description = <<-EOT
    The networks that may reach the control plane, as CIDR ranges by name, such as {office = "203.0.113.0/24"}.
    Empty allows only the cluster's own network.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for range in values(var.authorized_networks) : can(cidrhost(range, 0))])
    error_message = "Each value of authorized_networks must be a CIDR range such as 203.0.113.0/24, or 203.0.113.7/32 for a single address."
  }

  validation {
    condition     = alltrue([for range in values(var.authorized_networks) : try(tonumber(split("/", range)[1]) >= 8, true)])
    error_message = "A range of authorized_networks is larger than a /8, which admits a large part of the Internet. List your own networks."
  }
}

variable "public_endpoint" {
  type        = bool
  description = "Whether the control plane has a public address, reachable from `authorized_networks` only. Without one, reach it from inside the network, for example through a VPN."
  default     = true
  nullable    = false

  validation {
    condition     = var.public_endpoint || alltrue([for range in values(var.authorized_networks) : try(anytrue([for private in ["^10[.]", "^192[.]168[.]", "^172[.](1[6-9]|2[0-9]|3[01])[.]"] : can(regex(private, range))]), false)])
    error_message = "authorized_networks contains public addresses, but public_endpoint is false, so only private addresses (RFC 1918) reach the control plane. Remove the public ranges or set public_endpoint."
  }
}

variable "release_channel" {
  type        = string
  description = "The release channel of the cluster: RAPID, REGULAR, STABLE or EXTENDED. Google upgrades the cluster during `maintenance`."
  default     = "REGULAR"
  nullable    = false

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "release_channel must be RAPID, REGULAR, STABLE or EXTENDED: a cluster without a channel is not upgraded."
  }
}

variable "maintenance" {
  type = object({
    start_time = optional(string, "2026-01-03T06:00:00Z")
    end_time   = optional(string, "2026-01-03T18:00:00Z")
    recurrence = optional(string, "FREQ=WEEKLY;BYDAY=SA,SU")
  })
  description = <<-EOT
    The maintenance window for upgrades: its first occurrence (RFC 3339, UTC) and its recurrence (RFC 5545). An
    upgrade evicts training pods, which resume where they stopped. GKE requires 48 hours in any 32 days.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(timecmp(var.maintenance.start_time, var.maintenance.end_time)) && try(timecmp(var.maintenance.start_time, var.maintenance.end_time) < 0, false)
    error_message = "maintenance.start_time must be before end_time, both in the form 2026-01-03T06:00:00Z."
  }

  validation {
    condition     = try(timecmp(timeadd(var.maintenance.start_time, "4h"), var.maintenance.end_time) <= 0, true)
    error_message = "The maintenance window must last at least four hours."
  }
}

variable "auto_provisioning" {
  type = object({
    max_cpu        = number
    max_memory_gib = number
  })
  description = <<-EOT
    The limits (vCPU, GiB) of node auto-provisioning, which creates node pools to match pod requests. They apply to
    the whole cluster, including the platform pool. Null turns auto-provisioning off; the node-pools module then
    creates a pool per class.
  EOT
  default     = null

  validation {
    condition     = try(var.auto_provisioning.max_cpu >= 4 && var.auto_provisioning.max_memory_gib >= 16, var.auto_provisioning == null)
    error_message = "auto_provisioning.max_cpu must be at least 4 and max_memory_gib at least 16: the limits include the platform node."
  }
}

variable "security_group" {
  type        = string
  description = <<-EOT
    The Google group gke-security-groups@DOMAIN. RoleBindings can name the groups that are members of it, such as
    the analysts' groups. Null if no RoleBinding names a group.
  EOT
  default     = null

  validation {
    condition     = var.security_group == null || can(regex("^gke-security-groups@.+[.].+$", var.security_group))
    error_message = "security_group must be gke-security-groups@DOMAIN: GKE accepts no other name."
  }
}

variable "secrets_key" {
  type        = string
  description = "The Cloud KMS key (projects/.../cryptoKeys/...) in `region` that encrypts Secrets in etcd, in addition to Google-managed encryption. Null adds no encryption."
  default     = null

  validation {
    condition     = var.secrets_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.secrets_key))
    error_message = "secrets_key must have the form projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether Terraform refuses to delete or replace the cluster. To delete it, set this to false in a separate apply first."
  default     = true
  nullable    = false
}
