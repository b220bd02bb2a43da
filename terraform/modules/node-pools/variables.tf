variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the cluster; the same in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of the cluster."
  nullable    = false
}

variable "cluster" {
  type        = string
  description = "Name of the cluster: the module cluster's `name`."
  nullable    = false
}

variable "node_service_account" {
  type        = string
  description = "E-mail of the service account that nodes run as: the module identities' `node`. Never Compute Engine's own, which may edit the project."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.-]+[.]iam[.]gserviceaccount[.]com$", var.node_service_account))
    error_message = "node_service_account is an account made for nodes (...@PROJECT.iam.gserviceaccount.com), not Compute Engine's own."
  }
}

variable "closed_tag" {
  type        = string
  description = "Network tag of nodes that reach Google's APIs and nothing else outside: the module network's `closed_tag`."
  nullable    = false
}

variable "classes" {
  type = map(object({
    machine_type = string
    cpu          = string
    memory       = string
    spot         = optional(bool, true)
    on_demand    = optional(bool, true)
    max_nodes    = optional(number, 20)
    disk_gb      = optional(number, 100)
    internet     = optional(bool, false)
  }))
  description = <<-EOT
    Resource classes by name, the same map that the installation file is written from:
    - `machine_type`: of a node.
    - `cpu`, `memory`: what one pod gets, as Kubernetes writes it ("2", "1500m"; "8Gi", "512Mi"). Less than the
      machine has: GKE keeps a part for itself, and each node's system pods take some (README.md). A training
      pod runs a process for each whole processor. No two classes have the same memory, since a pod
      that ran out of it gets the next class.
    - `spot`, `on_demand`: whether there is a pool of such nodes. The steps check, split and collect run on
      demand, so the classes that `steps` of the installation names should have it.
    - `max_nodes`: of each of its pools, in all zones together. All scale to zero.
    - `disk_gb`: of a node's disk, which its pods' temporary files share.
    - `internet`: whether its nodes leave for more than Google's APIs, where the network has a way. Needed of
      the class of `steps.collect` if the installation's webhook is outside; off, what a trainer reads stays.
  EOT
  nullable    = false

  validation {
    condition     = length(var.classes) > 0
    error_message = "There is at least one class: pods run in one."
  }

  validation {
    condition     = alltrue([for name in keys(var.classes) : can(regex("^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$", name)) && !endswith(name, "-spot") && name != "platform"])
    error_message = "Names of classes have at most 30 lower-case letters, digits and hyphens (a pool's name has 40), do not end in -spot, and are not platform."
  }

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^([0-9]+m|[0-9]+([.][0-9]+)?)$", class.cpu))])
    error_message = "cpu of a class is such as \"2\" or \"1500m\"."
  }

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^[1-9][0-9]*(Gi|Mi)$", class.memory))])
    error_message = "memory of a class is such as \"8Gi\" or \"512Mi\"."
  }

  validation {
    condition = length(var.classes) == length(distinct([
      for class in var.classes :
      try(tonumber(regex("^[0-9]+", class.memory)) * (endswith(class.memory, "Gi") ? 1024 : 1), class.memory)
    ]))
    error_message = "Two classes have the same memory: a pod that ran out of it gets the next class, so they grow."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.spot || class.on_demand])
    error_message = "A class is spot, on_demand or both: otherwise it has no nodes."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.max_nodes >= 1 && floor(class.max_nodes) == class.max_nodes && class.max_nodes <= 1000])
    error_message = "max_nodes of a class is a whole number from 1 to 1,000: with 0 its pods would wait for ever."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.disk_gb >= 30])
    error_message = "disk_gb of a class is at least 30: the system and the images take some of it."
  }
}

variable "auto_provisioning" {
  type        = bool
  description = "Whether GKE makes the classes' pools itself (the module cluster's `auto_provisioning` is not null), so that only the platform's pool is made here."
  default     = false
  nullable    = false
}

variable "platform" {
  type = object({
    machine_type = optional(string, "e2-standard-4")
    min_nodes    = optional(number, 1)
    max_nodes    = optional(number, 3)
    disk_gb      = optional(number, 50)
  })
  description = <<-EOT
    The pool that is always there, for Argo Workflows, Argo CD and GKE's own pods: all that has no toleration of
    a class. `min_nodes` and `max_nodes` count all zones together. With one node Argo pauses for minutes when
    that is upgraded or lost; runs go on afterwards.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.platform.min_nodes >= 1 && var.platform.max_nodes >= var.platform.min_nodes
    error_message = "platform.min_nodes is at least 1 (nothing else starts Argo), and max_nodes not less."
  }

  validation {
    condition     = var.platform.disk_gb >= 30
    error_message = "platform.disk_gb is at least 30: the system and the images take some of it."
  }
}
